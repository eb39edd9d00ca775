"""A timeout around awaits that also travels with the calls made inside it."""

from __future__ import annotations

import asyncio
import datetime
from contextvars import Token
from types import TracebackType

from ..places.current import deadline
from ..words.options import seconds


class timeout:  # noqa: N801  # named as asyncio.timeout is
    """
    ``asyncio.timeout`` that also travels: ``async with timeout(5):``.

    Every call made inside carries what is left of the time, and so do the calls that it makes:
    what waits in a queue when the time is over never starts, on whatever machine.

    Args:
        delay: Seconds, or a timedelta; ``None`` sets no limit.

    Raises:
        TimeoutError: On the way out, when the time is over.
    """

    def __init__(self, delay: float | datetime.timedelta | None) -> None:
        self._delay = seconds("timeout", delay)
        self._token: Token[float | None] | None = None
        self._inner = asyncio.timeout(None)

    async def __aenter__(self) -> timeout:
        if self._delay is not None:
            self._inner = asyncio.timeout(self._delay)
        await self._inner.__aenter__()
        when, outer = self._inner.when(), deadline.get()
        if when is not None and (outer is None or when < outer):
            self._token = deadline.set(when)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._token is not None:
            deadline.reset(self._token)
            self._token = None
        await self._inner.__aexit__(kind, exc, tb)

    def when(self) -> float | None:
        """Return when the time is over, in the loop's time, or ``None``."""
        return self._inner.when()

    def expired(self) -> bool:
        """Return True if the time was over inside."""
        return self._inner.expired()

    def __repr__(self) -> str:
        return f"<atasks_ng.timeout of {self._delay} s, {self._inner!r}>"
