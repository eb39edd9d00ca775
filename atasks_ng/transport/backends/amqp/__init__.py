"""
The transport over RabbitMQ, on aiormq.

========== ===================================================================================
module     does
========== ===================================================================================
settings   the options, checked once, and the names of exchanges and queues
parcels    what is published, and what was delivered: properties on one side, fields on the other
lane       publishes and acknowledges on the channels of one session
windows    how many requests a worker holds: consumers added and cancelled
session    one life of the link: two connections, their channels, the topology
transport  joins them, and dials again when a session is lost
========== ===================================================================================
"""

from .transport import AMQPTransport

__all__ = ["AMQPTransport"]
