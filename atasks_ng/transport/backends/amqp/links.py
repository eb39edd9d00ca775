"""One connection to the broker, and the lanes on its channels."""

from __future__ import annotations

import logging
from collections.abc import Callable

import aiormq
from aiormq.channel import Channel

from .lane import FastLane, Lane, PlainLane, Probe, Wire, WireFactory
from .lane.base import PROBE_EXCHANGE, OnReturned
from .lane.probe import PROBE_AFTER
from .settings import Settings

logger = logging.getLogger("atasks_ng.amqp")

# aiormq waits 2 s for the broker's answer, and then closes the socket without.
_CLOSE_TIMEOUT = 3.0


class _Connection(aiormq.Connection):
    """aiormq's, with another clock."""

    def __init__(self, settings: Settings, role: str, factory: WireFactory) -> None:
        super().__init__(settings.dial_url(role), transport_factory=factory)
        self._wires = factory

    @property
    def is_connection_was_stuck(self) -> bool:
        # aiormq asks before it has read what came while a body blocked the loop.
        wire = self._wires.wire
        return wire is not None and wire.keepalive.is_dead


class Link:
    """
    One connection.

    Args:
        settings: How to treat the broker.
        role: What it is for, as shown by the broker's tools.

    Attributes:
        connection: aiormq's.
    """

    def __init__(self, settings: Settings, role: str) -> None:
        self._settings = settings
        self._factory = WireFactory()
        self._asking: Channel | None = None
        self.connection: aiormq.Connection = _Connection(settings, role, self._factory)

    async def open(self) -> None:
        """Connect and log in."""
        await self.connection.connect()
        tuned = self.connection.connection_tune
        self.wire.tune(tuned.frame_max or 0, tuned.heartbeat or 0)

    @property
    def wire(self) -> Wire:
        """The socket, once it is open."""
        assert self._factory.wire is not None
        return self._factory.wire

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
        wire = self._factory.wire
        if wire is not None and wire.keepalive.quiet >= PROBE_AFTER:
            wire.fail(reason)

    async def _ask(self) -> None:
        # A channel of its own: on that of the calls, the question would wait for them.
        if self._asking is None or self._asking.is_closed:
            self._asking = await self.channel()
        await self._asking.exchange_declare(PROBE_EXCHANGE, passive=True)

    async def close(self) -> None:
        """Disconnect; what was not sent is dropped."""
        try:
            await self.connection.close(timeout=_CLOSE_TIMEOUT)
        except Exception as exc:
            logger.debug("closing %r: %r", self.connection, exc)
        if self._factory.wire is not None:
            # A link on which nothing moves any more has not been closed by that.
            self._factory.wire.abort()

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
