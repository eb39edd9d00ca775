"""One connection to the broker, and the lanes on its channels."""

from __future__ import annotations

import logging

import aiormq
from aiormq.channel import Channel

from .lane import FastLane, Lane, PlainLane, WireFactory
from .lane.base import OnReturned
from .settings import Settings

logger = logging.getLogger("atasks_ng.amqp")

# aiormq waits 2 s for the broker's answer, and then closes the socket without.
_CLOSE_TIMEOUT = 3.0


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
        self._factory = WireFactory() if settings.fast else None
        self.connection = aiormq.Connection(
            settings.dial_url(role), transport_factory=self._factory
        )

    async def open(self) -> None:
        """Connect and log in."""
        await self.connection.connect()
        if self._factory is not None:
            tuned = self.connection.connection_tune
            assert self._factory.wire is not None
            self._factory.wire.tune(tuned.frame_max or 0, tuned.heartbeat or 0)

    async def close(self) -> None:
        """Disconnect; what was not sent is dropped."""
        try:
            await self.connection.close(timeout=_CLOSE_TIMEOUT)
        except Exception as exc:
            logger.debug("closing %r: %r", self.connection, exc)
        if self._factory is not None and self._factory.wire is not None:
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
        if self._factory is None:
            return PlainLane(await self.channel(confirms=publishes), on_returned, timeout)
        channel = await self.channel(confirms=publishes and settings.confirms)
        assert self._factory.wire is not None
        frame_max = self.connection.connection_tune.frame_max or 0
        return FastLane(channel, self._factory.wire, on_returned, frame_max, timeout)
