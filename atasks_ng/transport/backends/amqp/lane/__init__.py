"""
The data path between the transport and the broker, in two forms with one face.

========= ====================================================================================
module    does
========= ====================================================================================
base      the face: what a lane guarantees
plain     every message through aiormq
fast      frames of data built and parsed here
wire      the socket, shared between aiormq and lanes: what is written when
pulse     heartbeats while the event loop does not turn
keepalive whether the connection lives, as the loop sees it
probe     asking the broker for a sign of life
confirms  messages that the broker has not confirmed
splitter  the incoming stream, taken apart: ours, and aiormq's
frames    frames as bytes
========= ====================================================================================

Why there are two: aiormq's path for one message costs about 0.25 ms of CPU on each side (tasks,
locks, queues, general marshalling), and the broker 0.05 ms. With frames built from templates and
parsed in place a call costs 0.03 ms on each side. Everything that is not data (opening,
authentication, TLS, topology, consumers, errors, closing) is aiormq's in both.
"""

from .base import Lane
from .fast import FastLane
from .plain import PlainLane
from .probe import Probe
from .wire import Wire, WireFactory

__all__ = ["FastLane", "Lane", "PlainLane", "Probe", "Wire", "WireFactory"]
