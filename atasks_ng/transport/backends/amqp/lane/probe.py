"""
Ask the broker for a sign of life: for links that are half open, and lose everything in silence.

Heartbeats find such a link, too, but only after two or three of them, and while somebody waits for
an answer each second counts. Asked is only then, so that an idle process costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from .pulse import SharedTransport

if sys.platform == "linux":
    import fcntl
    import termios

logger = logging.getLogger("atasks_ng.amqp")

# Where Linux tells for how many milliseconds no acknowledgement has come: struct tcp_info has eight
# bytes, twelve numbers of four bytes, and then that one.
_LAST_ACK_AT = 8 + 12 * 4

#: Seconds without news, while somebody waits for some, after which the broker is asked.
PROBE_AFTER = 1.0

#: How long it may take to answer, in seconds. In all a dead link is noticed within 5 s. A network
#: that holds everything back for a second, on each way and behind other data, takes 3 s for it.
PROBE_TIMEOUT = 3.25

#: The same while the question waits behind what the broker does not read, and its machine says that
#: it has room for no more: then the link is good, and the broker slows down who sends too much.
SLOW_TIMEOUT = 15.0


class Asked(Protocol):
    """
    A connection.

    Attributes:
        transport: What is written to.
        is_blocked: True while the broker takes nothing, and need not answer.
    """

    transport: SharedTransport
    is_blocked: bool


class Probe:
    """
    Ask the broker something harmless when there is no news of what somebody waits for.

    Args:
        wire: The connection.
        ask: Ask the broker, and return when it has answered, whatever the answer is.
        is_waiting: True while somebody waits.
        on_dead: Called with the reason each time that an answer has not come for so long.
    """

    def __init__(
        self,
        wire: Asked,
        ask: Callable[[], Awaitable[Any]],
        is_waiting: Callable[[], bool],
        on_dead: Callable[[str], None],
    ) -> None:
        self._wire = wire
        self._ask = ask
        self._is_waiting = is_waiting
        self._on_dead = on_dead
        self._asked: asyncio.Future[Any] | None = None
        self._waited = 0.0
        # What had been written when it asked, and what of that the network had taken last.
        self._written = 0
        self._taken = 0

    def turn(self, elapsed: float, quiet: float) -> None:
        """Tell the time."""
        if self._asked is not None:
            if self._asked.done():
                self._asked = None
            else:
                self._await_answer(elapsed, quiet)
        elif quiet >= PROBE_AFTER and self._is_waiting() and not self._wire.is_blocked:
            self._begin()

    def _begin(self) -> None:
        self._waited = 0.0
        self._written = self._wire.transport.written_bytes
        self._taken = self._count_taken()
        self._asked = asyncio.ensure_future(self._ask())
        self._asked.add_done_callback(_look_at)

    def _await_answer(self, elapsed: float, quiet: float) -> None:
        taken = self._count_taken()
        # The question waits behind what was written before, the answer behind what comes.
        moves = self._taken < self._written and taken > self._taken
        self._taken = taken
        wire = self._wire
        if moves or not quiet or wire.is_blocked or not wire.transport.is_reading():
            self._waited = 0.0
            return
        self._waited += elapsed
        limit = PROBE_TIMEOUT
        if taken < self._written and _was_acknowledged(wire.transport, within=self._waited):
            limit = SLOW_TIMEOUT
        if self._waited >= limit:
            self._waited = 0.0
            self._on_dead(f"no answer within {limit:g} s, and nothing else")

    def _count_taken(self) -> int:
        transport = self._wire.transport
        return transport.written_bytes - transport.get_write_buffer_size() - _in_kernel(transport)


def _look_at(asked: asyncio.Future[Any]) -> None:
    if not asked.cancelled() and asked.exception() is not None:
        # An answer, too; whatever else it means is found out elsewhere.
        logger.debug("asking the broker for a sign of life: %r", asked.exception())


def _was_acknowledged(transport: SharedTransport, within: float) -> bool:
    """Return True if the peer's machine has acknowledged something within some seconds."""
    sock = transport.get_extra_info("socket")
    if sys.platform != "linux" or sock is None:
        return False
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_ACK_AT + 4)
    except OSError:
        return False
    if len(info) < _LAST_ACK_AT + 4:
        return False
    (milliseconds,) = struct.unpack_from("I", info, _LAST_ACK_AT)
    return bool(milliseconds < within * 1000)


def _in_kernel(transport: SharedTransport) -> int:
    """Return how many bytes the peer has not got, where the system tells."""
    if sys.platform != "linux":
        return 0
    sock = transport.get_extra_info("socket")
    if sock is None:
        return 0
    try:
        found = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    except OSError:
        return 0
    return int(struct.unpack("i", found)[0])
