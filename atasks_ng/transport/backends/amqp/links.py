"""One connection to the broker, and the lanes on its channels."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import aiormq
from aiormq.channel import Channel
from aiormq.connection import FrameReceiver, SSLContextProvider, TransportFactory
from aiormq.exceptions import ConnectionClosed
from pamqp import commands
from yarl import URL

from .dialing import first_of
from .lane import FastLane, Lane, PlainLane, Probe, Wire, WireFactory
from .lane.base import PROBE_EXCHANGE, OnReturned
from .lane.probe import PROBE_AFTER
from .refusals import NOT_ALLOWED
from .settings import Settings

logger = logging.getLogger("atasks_ng.amqp")

# aiormq waits 2 s for the broker's answer, and then closes the socket without.
_CLOSE_TIMEOUT = 3.0

# How long a socket may take before another is opened beside it, in seconds. Longer than from one
# end of the earth to the other and back, and such that a link is there a second after the network.
_HANGS_AFTER = 0.8

# Longest TLS handshake in seconds. asyncio would wait for a minute.
_TLS_TIMEOUT = 4.0


@dataclasses.dataclass(frozen=True, slots=True)
class _Stream:
    """An open socket."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    wire: Wire

    def abort(self) -> None:
        """Let go of it."""
        self.wire.abort()


class _Opened(TransportFactory):
    """Hands aiormq a socket that is open: it logs as an error whatever fails when it opens one."""

    def __init__(self) -> None:
        self.stream: _Stream | None = None

    async def create(
        self, url: URL, **kwargs: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert self.stream is not None
        return self.stream.reader, self.stream.writer


class _Receiver:
    """
    What aiormq waits for while it logs in, with the broker's reason if it refuses.

    aiormq keeps the reason to itself where it asks for a virtual host.
    """

    def __init__(self, receiver: FrameReceiver) -> None:
        self._receiver = receiver

    async def get_frame(self) -> Any:
        """Return the next frame."""
        received = await self._receiver.get_frame()
        frame = received[2]
        if isinstance(frame, commands.Connection.Close) and frame.reply_code == NOT_ALLOWED:
            raise ConnectionClosed(frame.reply_code, frame.reply_text)
        return received


class _Connection(aiormq.Connection):
    """aiormq's, with another clock, and with the reasons of the broker."""

    def __init__(self, url: URL) -> None:
        self.opened = _Opened()
        super().__init__(url, transport_factory=self.opened)

    @staticmethod
    async def _rpc(
        request: Any, writer: Any, frame_receiver: FrameReceiver, wait_response: bool = True
    ) -> Any:
        told: Any = _Receiver(frame_receiver)
        return await aiormq.Connection._rpc(request, writer, told, wait_response)

    @property
    def is_connection_was_stuck(self) -> bool:
        # aiormq asks before it has read what came while a body blocked the loop.
        stream = self.opened.stream
        return stream is not None and stream.wire.keepalive.is_dead


class Link:
    """
    One connection.

    Args:
        settings: How to treat the broker.
        role: What it is for, as shown by the broker's tools.
        url: Which broker, with credentials; by default the first of the settings.

    Attributes:
        connection: aiormq's.
    """

    def __init__(self, settings: Settings, role: str, url: URL | None = None) -> None:
        self._settings = settings
        self._asking: Channel | None = None
        self._connection = _Connection(settings.dial_url(role, url))
        self._provider = SSLContextProvider(
            ssl_context=None,
            ssl_certs=self._connection.ssl_certs,
            loop=asyncio.get_running_loop(),
        )
        self.connection: aiormq.Connection = self._connection

    async def open(self) -> None:
        """Connect and log in."""
        stream = await first_of(self._open_stream, _HANGS_AFTER, _Stream.abort)
        self._connection.opened.stream = stream
        try:
            await self.connection.connect()
        except StopAsyncIteration:
            # What aiormq makes of the end of the stream.
            raise ConnectionResetError("it ends the connection, and says nothing") from None
        tuned = self.connection.connection_tune
        stream.wire.tune(tuned.frame_max or 0, tuned.heartbeat or 0)

    async def _open_stream(self) -> _Stream:
        factory, url = WireFactory(), self.connection.url
        options = {"ssl_handshake_timeout": _TLS_TIMEOUT} if url.scheme == "amqps" else {}
        reader, writer = await factory.create(url, ssl_context_provider=self._provider, **options)
        assert factory.wire is not None
        return _Stream(reader, writer, factory.wire)

    @property
    def wire(self) -> Wire:
        """The socket, once it is open."""
        stream = self._connection.opened.stream
        assert stream is not None
        return stream.wire

    def watch(self, is_waiting: Callable[[], bool], on_dead: Callable[[str], None]) -> None:
        """
        Ask the broker for a sign of life when it says nothing while somebody waits.

        Args:
            is_waiting: True while somebody does.
            on_dead: Called with the reason if there is no answer; the connection stays.
        """
        self.wire.keepalive.probe = Probe(self.wire, self._ask, is_waiting, on_dead)

    def give_up(self, reason: str) -> None:
        """End the connection at once if it is silent: its broker would not close it, either."""
        stream = self._connection.opened.stream
        if stream is not None and stream.wire.keepalive.quiet >= PROBE_AFTER:
            stream.wire.fail(reason)

    async def _ask(self) -> None:
        # A channel of its own: on that of the calls, the question would wait for them. One round
        # trip, whichever it is.
        if self._asking is None or self._asking.is_closed:
            self._asking = await self.channel()
        else:
            await self._asking.exchange_declare(PROBE_EXCHANGE, passive=True)

    async def close(self) -> None:
        """Disconnect; what was not sent is dropped."""
        try:
            await self.connection.close(timeout=_CLOSE_TIMEOUT)
        except Exception as exc:
            logger.debug("closing %r: %r", self.connection, exc)
        stream = self._connection.opened.stream
        if stream is not None:
            # A link on which nothing moves any more has not been closed by that.
            stream.abort()

    async def channel(self, *, confirms: bool = False) -> Channel:
        """Open a channel."""
        channel = await self.connection.channel(publisher_confirms=confirms)
        assert isinstance(channel, Channel)
        return channel

    async def lane(self, on_returned: OnReturned, *, publishes: bool) -> Lane:
        """Open a channel for data."""
        settings = self._settings
        timeout = settings.request_timeout
        if not settings.fast:
            channel = await self.channel(confirms=publishes)
            return PlainLane(channel, self.wire, on_returned, timeout)
        channel = await self.channel(confirms=publishes and settings.confirms)
        frame_max = self.connection.connection_tune.frame_max or 0
        return FastLane(channel, self.wire, on_returned, frame_max, timeout)
