"""
Whether a connection lives, as its loop sees it; told by a timer, at no cost for a message.

Time counts here only while the loop turns. After a body has blocked it, what came meanwhile waits
in the socket, and a clock on the wall would say that nobody has been heard for long.

* ``silent``: seconds in which nothing was read at all. After three heartbeats the link is dead.
* ``quiet``: seconds in which nothing was read but heartbeats. If somebody waits for something then,
  a :class:`~.probe.Probe` asks the broker, and the link is dead if it does not answer.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time

from aiormq import Connection

from .frames import HEARTBEAT_FRAME
from .probe import Probe
from .pulse import LONGEST_BLOCK, LOOKS, SharedTransport, pulse

logger = logging.getLogger("atasks_ng.amqp")

# How often the timer looks. Small against the times below, which it adds to.
_TURN_SECONDS = 0.25

# What is read in one such time and is no longer than this is no news: heartbeats.
_HEARTBEATS_BYTES = 2 * len(HEARTBEAT_FRAME)


class Keepalive:
    """
    Watch one connection.

    Args:
        loop: The loop of the connection.
        transport: What is written to.
        reader: What aiormq reads; it is told of life that it does not see.

    Attributes:
        read_bytes: All that was read; whoever reads counts.
        silent: Seconds without a byte.
        quiet: Seconds with heartbeats at most.
        probe: What is done about that, if anything.
        look_every: How often the thread of heartbeats looks, in seconds.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: SharedTransport,
        reader: asyncio.StreamReader,
    ) -> None:
        self.read_bytes = 0
        self.silent = 0.0
        self.quiet = 0.0
        self.probe: Probe | None = None
        self.look_every = 0.0
        self._loop = loop
        self._transport = transport
        self._reader = reader
        self._heartbeat = 0.0
        self._seen_bytes = 0
        self._turned_at = time.monotonic()
        self._feed_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, heartbeat: float) -> None:
        """
        Watch from now on.

        Args:
            heartbeat: Seconds between signs of life, as agreed upon; 0: there are none.
        """
        self._heartbeat = heartbeat
        self.look_every = heartbeat / LOOKS
        self._turned_at = time.monotonic()
        if self._timer is not None:
            self._timer.cancel()
        self._next_turn()
        if heartbeat and self._transport.can_beat:
            pulse.add(self)
        elif heartbeat:
            _say_no_pulse()

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pulse.discard(self)
        self._transport.release()

    @property
    def is_dead(self) -> bool:
        """True if nothing was read for longer than the heartbeats allow."""
        # aiormq's own rule, on another clock.
        limit = (self._heartbeat + 1) * Connection.HEARTBEAT_GRACE_MULTIPLIER
        return self._heartbeat > 0 and self.silent > limit

    # -- in the loop ---------------------------------------------------------------------------

    def _next_turn(self) -> None:
        # All connections of a loop at the same time: one awakening for all.
        when = (self._loop.time() // _TURN_SECONDS + 1) * _TURN_SECONDS
        self._timer = self._loop.call_at(when, self._turn)

    def _turn(self) -> None:
        self._next_turn()
        now = time.monotonic()
        # Not more than a late turn takes: while the loop stood still, nobody could hear anything.
        elapsed = min(now - self._turned_at, 2 * _TURN_SECONDS)
        self._turned_at = now
        read, self._seen_bytes = self.read_bytes - self._seen_bytes, self.read_bytes
        self.silent = 0.0 if read else self.silent + elapsed
        self.quiet = 0.0 if read > _HEARTBEATS_BYTES else self.quiet + elapsed
        if read and self._heartbeat:
            self._feed(now)
        if self.probe is not None:
            self.probe.turn(elapsed, self.quiet)

    def _feed(self, now: float) -> None:
        """Tell aiormq now and then that the broker lives: of data it sees nothing."""
        if now >= self._feed_at:
            # Half of it, since aiormq waits for three times as long.
            self._feed_at = now + self._heartbeat / 2
            self._reader.feed_data(HEARTBEAT_FRAME)

    # -- in the thread of heartbeats -----------------------------------------------------------

    def look(self, now: float) -> bool:
        """Send a heartbeat if the loop stands still; return False if there is no need any more."""
        still = now - self._turned_at
        if still > LONGEST_BLOCK or self._loop.is_closed():
            return False
        if still > self.look_every:
            self._transport.beat()
        return True

    def give_up(self) -> None:
        """Send no heartbeats any more."""
        self._transport.release()


@functools.cache
def _say_no_pulse() -> None:
    """Say once in a process what TLS costs."""
    logger.info(
        "over TLS no heartbeats are sent while a body blocks the event loop: "
        "one that does so for two heartbeats costs the link"
    )
