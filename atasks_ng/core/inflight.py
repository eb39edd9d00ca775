"""How many calls of one process are under way; the others wait, not even encoded."""

from __future__ import annotations

import asyncio
from collections import deque


class InFlight:
    """
    A count of calls, and of their bytes.

    Args:
        calls: How many may be under way.
        size_bytes: How many bytes of arguments may be.
    """

    def __init__(self, calls: int, size_bytes: int) -> None:
        self._calls = calls
        self._bytes = size_bytes
        self._used = 0
        self._used_bytes = 0
        self._line: deque[asyncio.Future[None]] = deque()

    def enter(self) -> bool:
        """Count a call in, which must leave again, and return True; False if it must wait."""
        if self._line or not self._has_room:
            return False
        self._used += 1
        return True

    @property
    def _has_room(self) -> bool:
        return self._used < self._calls and self._used_bytes < self._bytes

    async def wait(self) -> None:
        """Return when there is room and the call is counted in, in the order of asking."""
        waiter = asyncio.get_running_loop().create_future()
        self._line.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._used -= 1
                self._let_in()
            raise

    def _let_in(self) -> None:
        while self._line and self._has_room:
            waiter = self._line.popleft()
            if not waiter.done():
                self._used += 1
                waiter.set_result(None)

    def weigh(self, size_bytes: int) -> None:
        """Say how large a call is that has entered."""
        self._used_bytes += size_bytes

    def leave(self, size_bytes: int) -> None:
        """Count a call and its bytes out."""
        self._used -= 1
        self._used_bytes -= size_bytes
        if self._line:
            self._let_in()
