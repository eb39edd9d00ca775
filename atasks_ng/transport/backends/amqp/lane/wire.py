"""
One socket, shared: aiormq's frames and ours, in both directions.

aiormq opens, tunes, keeps alive and closes the connection; it reads a ``StreamReader`` and writes
to a ``StreamWriter``, as ever. Between these two and the socket stands a :class:`Wire`. What is
ours of the incoming stream never reaches aiormq, and what we send is written between its frames:

* One write a tick of the loop: messages first, then the acknowledgements. Only a message that
  comes alone, and a large one, is written at once; a large body in pieces, uncopied. What many
  make in one tick is written as soon as it is worth it: the broker need not wait for all of it.
* A message is written whole within one step, so that no frame of aiormq's falls into it.
* While the socket takes no more, or the broker is short of memory and says so, everything waits
  here, in order.
* Whether the connection lives is judged by a :class:`~.keepalive.Keepalive`, and aiormq told so.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any, Protocol

from aiormq.connection import TransportFactory
from aiormq.exceptions import AMQPConnectionError
from yarl import URL

from . import heap
from .frames import Buffer
from .keepalive import Keepalive
from .pulse import SharedTransport
from .splitter import NO_FRAME_MAX, DataChannel, Splitter, StreamError

logger = logging.getLogger("atasks_ng.amqp")

# Small messages that are joined into one write. 256 KiB: what asyncio reads at once, too.
_WRITE_BYTES = 256 * 1024

# What is written before the tick ends. 16 KiB: some fifty requests, next to which a system call is
# nothing.
_EARLY_BYTES = 16 * 1024

# What is read at once. A buffer that stays: asyncio's own for each read, of the same size, costs
# three system calls to get and give back.
_READ_BYTES = 256 * 1024

# A message this long after the last one comes alone. 0.2 ms: longer than making the next one takes
# whoever makes many, and shorter than any answer.
_REST_SECONDS = 0.0002


class Sender(DataChannel, Protocol):
    """A data channel that has something to send when a tick ends."""

    def put_joined(self) -> None:
        """Put here the messages that were gathered in this tick."""

    def take_acks(self) -> list[bytes]:
        """Return their frames, which are then sent."""

    def on_closed(self) -> None:
        """Nothing can be sent any more."""


class Wire(asyncio.BufferedProtocol):
    """
    The protocol on the socket of one connection.

    Args:
        loop: The running event loop.

    Attributes:
        reader: What aiormq reads.
        is_blocked: True while the broker takes nothing.
        is_held: True while nothing may be written, for that reason or another.
        is_open: False once nothing can be sent any more.
        transport: The socket, once it is open.
        keepalive: Whether it lives; there with the socket.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.reader = asyncio.StreamReader(loop=loop)
        self.is_blocked = False
        self.is_open = True
        self._loop = loop
        # asyncio's own, for the StreamWriter: drain() and wait_closed() ask it.
        self._stream = asyncio.StreamReaderProtocol(self.reader, loop=loop)
        self._splitter = Splitter(self.reader.feed_data, self)
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._senders: list[Sender] = []
        # The socket takes no more; and: nothing may be written, for that reason or another.
        self._is_full = False
        self.is_held = False
        self._is_broken = False
        self._is_lost = False
        # The end of this tick is awaited; and: there was one message in it, or in the last one.
        self._is_due = False
        self._is_alone = False
        self._stirred_at = 0.0
        # Whole messages, large ones in pieces.
        self._outbox: deque[bytes | list[Buffer]] = deque()
        self._outbox_bytes = 0
        self._has_large = False
        self._drained: list[asyncio.Future[None]] = []

    # -- opening -------------------------------------------------------------------------------

    def writer(self) -> asyncio.StreamWriter:
        """Return what aiormq writes to."""
        return asyncio.StreamWriter(self.transport, self._stream, self.reader, self._loop)

    def tune(self, frame_max: int, heartbeat: int) -> None:
        """Take over what was agreed upon when the connection was opened; 0 is no limit."""
        self._splitter.frame_max = frame_max or NO_FRAME_MAX
        self.keepalive.start(heartbeat)

    def attach(self, number: int, sender: Sender) -> None:
        """Give a data channel what is its own from now on."""
        self._splitter.channels[number] = sender
        self._senders.append(sender)

    def fail(self, reason: str) -> None:
        """End a connection that is of no use any more, in a way that aiormq hears of."""
        self._is_broken = True
        # aiormq's reader ends with this, and then its connection. There is no closing in good
        # order: whatever the broker says cannot be trusted, or does not come.
        self.reader.set_exception(ConnectionError(reason))
        self.abort()

    def abort(self) -> None:
        """Let go of the socket, if that has not happened yet."""
        self._end()
        if not self._is_lost:
            # asyncio's own would fail after that, if it was closed with something unsent.
            self.transport.abort()

    # -- sending -------------------------------------------------------------------------------

    @property
    def is_writable(self) -> bool:
        """False while what is sent only piles up here."""
        return not self.is_held

    def put(self, message: bytes) -> None:
        """Have the frames of a message written, or another frame, after those before it."""
        self._outbox.append(message)
        self._outbox_bytes += len(message)

    def put_pieces(self, pieces: list[Buffer]) -> None:
        """Have the frames of a large message written, after those before it."""
        self._outbox.append(pieces)
        self._outbox_bytes += sum(map(len, pieces))
        self._has_large = True

    def stir(self) -> None:
        """
        Write soon what was put here, and what senders have; to be called after each message.

        At the end of this tick of the loop, since more may come. At once, if for some ticks no
        more came: then somebody waits for this one, and would wait a turn of the loop longer.
        """
        if self._has_large:
            # It fills writes of its own, and need not be kept while others are made.
            self._flush()
        elif self._is_due:
            self._is_alone = False
            if self._outbox_bytes >= _EARLY_BYTES:
                self._write_early()
        elif self._is_alone and self._is_rested():
            self._flush()
        else:
            self._is_due = self._is_alone = True
            self._loop.call_soon(self._end_tick)

    def _is_rested(self) -> bool:
        now = self._loop.time()
        before, self._stirred_at = self._stirred_at, now
        return now - before > _REST_SECONDS

    async def drain(self) -> None:
        """Return when everything is with the operating system, or the connection is lost."""
        if self.is_open:
            drained = self._loop.create_future()
            self._drained.append(drained)
            self.stir()
            await drained

    def _end_tick(self) -> None:
        self._is_due = False
        self._flush()

    def _flush(self) -> None:
        if self.transport.is_closing():
            self._end()
        if not self.is_held:
            for sender in self._senders:
                sender.put_joined()
        while not self.is_held:
            if self._outbox and type(self._outbox[0]) is list:
                self._write_pieces()
                continue
            batch = self._gather()
            if not self._outbox:
                for sender in self._senders:
                    batch += sender.take_acks()
            if not batch:
                self._wake_drained()
                break
            self.transport.write(b"".join(batch))

    def _write_early(self) -> None:
        """Write the messages that are here; what senders still gather waits for the tick's end."""
        while self._outbox and not self.is_held and not self.transport.is_closing():
            if type(self._outbox[0]) is list:
                self._write_pieces()
            else:
                self.transport.write(b"".join(self._gather()))

    def _gather(self) -> list[bytes]:
        """Take small messages for one write."""
        outbox, batch, size = self._outbox, [], 0
        while outbox and size < _WRITE_BYTES:
            message = outbox[0]
            if type(message) is not bytes:
                break
            batch.append(message)
            size += len(message)
            outbox.popleft()
        self._outbox_bytes -= size
        return batch

    def _write_pieces(self) -> None:
        self._has_large = False
        # A few frames at a time: copying them costs less than a system call for each piece. Once
        # begun, a message is finished, even if the socket is full: what follows on the channel
        # must not be another frame.
        pieces = self._outbox.popleft()
        assert type(pieces) is list
        batch: list[Buffer] = []
        size = 0
        with self.transport.whole():
            for piece in pieces:
                if size + len(piece) > _WRITE_BYTES:
                    self.transport.write(b"".join(batch))
                    batch, size = [], 0
                batch.append(piece)
                size += len(piece)
                self._outbox_bytes -= len(piece)
            self.transport.write(b"".join(batch))

    def _wake_drained(self) -> None:
        drained, self._drained = self._drained, []
        for future in drained:
            if not future.done():
                future.set_result(None)

    def _hold_or_go_on(self) -> None:
        self.is_held = self._is_full or self.is_blocked or not self.is_open
        if not self.is_held:
            self.stir()

    def _end(self) -> None:
        """Nothing can be sent any more."""
        self.is_open = False
        self.keepalive.stop()
        self._hold_or_go_on()
        self._outbox.clear()
        self._outbox_bytes = 0
        self._wake_drained()
        for sender in self._senders:
            sender.on_closed()

    # -- what the splitter sees ----------------------------------------------------------------

    def on_blocked(self, blocked: bool) -> None:
        """Keep what is sent while the broker takes nothing."""
        self.is_blocked = blocked
        self._hold_or_go_on()

    def on_closing(self) -> None:
        """
        Send nothing more.

        One data channel is enough: what waits for it here would break the rules once it is
        closed, and no session goes on with the others.
        """
        self._end()

    # -- what the loop calls -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = SharedTransport(transport)  # type: ignore[arg-type]  # of a socket
        self.keepalive = Keepalive(self._loop, self.transport, self.reader)
        self._stream.connection_made(transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.take(bytes(self._buffer[:nbytes]))

    def take(self, data: bytes) -> None:
        """Take what was read."""
        if self._is_broken:
            return
        self.keepalive.read_bytes += len(data)
        try:
            self._splitter.feed(data)
        except StreamError as exc:
            self.fail(str(exc))

    def eof_received(self) -> bool | None:
        self.keepalive.stop()
        return self._stream.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        self._end()
        self._stream.connection_lost(exc)

    def pause_writing(self) -> None:
        self.transport.is_clear = False
        self._stream.pause_writing()
        self._is_full = True
        self._hold_or_go_on()

    def resume_writing(self) -> None:
        self.transport.is_clear = True
        self._stream.resume_writing()
        self._is_full = False
        self._hold_or_go_on()


class WireFactory(TransportFactory):
    """
    Opens a socket for aiormq with a wire on it.

    Attributes:
        wire: The wire of the connection, once it was opened.
    """

    def __init__(self) -> None:
        self.wire: Wire | None = None

    async def create(
        self, url: URL, **kwargs: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect; aiormq calls this."""
        provider = kwargs.pop("ssl_context_provider", None)
        context = await provider.get_context() if url.scheme == "amqps" else None
        loop = asyncio.get_running_loop()
        heap.keep()
        wire = Wire(loop)
        try:
            await loop.create_connection(
                lambda: wire,
                host=url.host or "",
                port=url.port or 0,
                ssl=context,
                **kwargs,
            )
        except OSError as exc:
            raise AMQPConnectionError(*exc.args) from exc
        self.wire = wire
        return wire.reader, wire.writer()
