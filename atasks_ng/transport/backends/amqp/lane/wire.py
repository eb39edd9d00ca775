"""
One socket, shared: aiormq's frames and ours, in both directions.

aiormq opens, tunes, keeps alive and closes the connection; it gets its bytes from a
``StreamReader`` and writes to a ``StreamWriter``, as ever. Between these and the socket stands a
:class:`Wire`. What is ours of the incoming stream never reaches aiormq, and what we send is
written between two of its frames:

* One write a tick of the loop: messages first, then the acknowledgements that follow from them. A
  large body is not joined with the others but written uncopied, in pieces.
* Every message is written whole within one call, so that no frame of aiormq's falls into it.
* While the socket takes no more, or the broker says that it is blocked, everything waits here.
* aiormq takes a link for dead on which *it* reads nothing. While data flows it is given a
  heartbeat now and then, since the broker need not send any.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Protocol

import aiormq
from aiormq.connection import TransportFactory
from aiormq.exceptions import AMQPConnectionError
from yarl import URL

from .frames import HEARTBEAT_FRAME, Buffer
from .splitter import DataChannel, Splitter, StreamError

logger = logging.getLogger("atasks_ng.amqp")

# Small messages that are joined into one write. 256 KiB: what the loop reads at once, too.
_WRITE_BYTES = 256 * 1024

# A wire with so much waiting is not writable.
_FULL_BYTES = 1024 * 1024


class Settling(Protocol):
    """Who has acknowledgements to send after the messages of a tick."""

    def take_acks(self) -> list[bytes]:
        """Return the frames; they are sent."""


class Wire(asyncio.Protocol):
    """
    The protocol on the socket of one connection.

    Args:
        loop: The running event loop.

    Attributes:
        reader: What aiormq reads.
        is_blocked: True while the broker takes nothing.
        is_open: False once the connection is lost, or its stream is broken.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.reader = asyncio.StreamReader(loop=loop)
        self.is_blocked = False
        self.is_open = True
        self._loop = loop
        # asyncio's own half, for the StreamWriter: drain() and wait_closed() ask it.
        self._stream = asyncio.StreamReaderProtocol(self.reader, loop=loop)
        self._splitter = Splitter(self.reader.feed_data, self)
        self._transport: asyncio.Transport | None = None
        self._is_full = False
        self._is_held = True
        self._is_due = False
        # Messages that wait: whole ones in bytes, large ones in pieces.
        self._outbox: list[bytes | list[Buffer]] = []
        self._outbox_bytes = 0
        self._settling: list[Settling] = []
        self._drained: list[asyncio.Future[None]] = []
        self._beat_every = 0.0
        self._beat_at = 0.0

    # -- opening -------------------------------------------------------------------------------

    def writer(self) -> asyncio.StreamWriter:
        """Return what aiormq writes to."""
        assert self._transport is not None
        return asyncio.StreamWriter(self._transport, self._stream, self.reader, self._loop)

    def tune(self, frame_max: int, heartbeat: int) -> None:
        """Take over what was agreed upon when the connection was opened; 0 is none."""
        if frame_max:
            self._splitter.frame_max = frame_max
        # Half of it: aiormq allows for three, and one more second for each.
        self._beat_every = heartbeat / 2

    def attach(self, number: int, channel: DataChannel, settling: Settling) -> None:
        """Give a data channel what is its own from now on."""
        self._splitter.channels[number] = channel
        self._settling.append(settling)

    # -- sending -------------------------------------------------------------------------------

    @property
    def is_writable(self) -> bool:
        """False while what is sent only piles up here."""
        return not self._is_held and self._outbox_bytes < _FULL_BYTES

    def send(self, message: bytes) -> None:
        """Write the frames of a message, or another frame, at the end of this tick."""
        self._outbox.append(message)
        self._outbox_bytes += len(message)
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._flush)

    def send_pieces(self, pieces: list[Buffer], size: int) -> None:
        """Write the frames of a large message, after those before it."""
        self._outbox.append(pieces)
        self._outbox_bytes += size
        self._flush()

    def stir(self) -> None:
        """There are acknowledgements to write at the end of this tick."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._flush)

    async def drain(self) -> None:
        """Return when everything so far is with the operating system, or the connection is lost."""
        if not self.is_open:
            return
        drained = self._loop.create_future()
        self._drained.append(drained)
        self.stir()
        await drained

    def _flush(self) -> None:
        self._is_due = False
        if self._is_held:
            return
        assert self._transport is not None
        while not self._is_held:
            batch = self._next_batch()
            if not batch:
                self._wake_drained()
                return
            if len(batch) == 1 or type(batch) is not list: 
                ...
