"""
The transport over RabbitMQ, on aiormq.

========== ===================================================================================
module     does
========== ===================================================================================
settings   the options, checked once, and the names of exchanges and queues
parcels    what is published, what was delivered, what came back, what can be acknowledged
lane       publishes, delivers and acknowledges on one channel: a fast form and a plain one
links      one connection, and the lanes on it
windows    how many requests a worker holds: consumers added and cancelled
session    one life of the link: two connections, their channels, the topology
transport  joins them, and dials again when a session is lost
========== ===================================================================================
"""

from .transport import AMQPTransport

__all__ = ["AMQPTransport"]
