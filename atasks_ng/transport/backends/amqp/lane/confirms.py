"""Messages that were published and not confirmed yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..parcels import Parcel


class Unconfirmed:
    """
    Messages that the broker has not confirmed, by their number on the channel.

    Args:
        verdict: Called with each of their parcels, the delivery it answers, and whether it was
            taken.
        stuck: Called when one has waited too long; the rest goes on waiting.
        timeout: How long that is, in seconds.
    """

    def __init__(
        self,
        verdict: Callable[[Parcel, int | None, bool], None],
        stuck: Callable[[float], None],
        timeout: float,
    ) -> None:
        self._verdict = verdict
        self._stuck = stuck
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._parcels: dict[int, list[tuple[Parcel, int | None]]] = {}
        self._last = 0
        self._timer: asyncio.TimerHandle | None = None
        self._waiters: list[asyncio.Future[None]] = []

    def add(self, parcels: list[tuple[Parcel, int | None]]) -> None:
        """Note what was published as one message."""
        self._last += 1
        self._parcels[self._last] = parcels
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout, self._check, self._last)

    def confirm(self, number: int, multiple: bool, taken: bool) -> None:
        """Note what the broker says about a message, or about all up to it."""
        numbers = [number]
        if multiple:
            # 0: all of them. The table is in the order of the numbers.
            numbers = [each for each in self._parcels if each <= number or not number]
        for each in numbers:
            for parcel, tag in self._parcels.pop(each, ()):
                self._verdict(parcel, tag, taken)
        if not self._parcels:
            self._wake()

    async def settled(self) -> None:
        """Return when nothing is unconfirmed."""
        if self._parcels:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter

    def close(self) -> None:
        """Wait for nothing any more."""
        self._parcels.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._wake()

    def _check(self, number: int) -> None:
        """Look whether a message was confirmed that was there a while ago."""
        self._timer = None
        if number in self._parcels:
            self._stuck(self._timeout)
        oldest = next(iter(self._parcels), None)
        if oldest is not None:
            self._timer = self._loop.call_later(self._timeout, self._check, oldest)

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
