"""The slot that a running call holds, lends and takes again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..protocol.calls import IncomingCall
    from .incoming import Incoming

_HOLDS, _LENT, _WAITS = "holds", "lent", "waits"


class HeldSlot:
    """The slot of one running call, which lends it back while it awaits other calls."""

    __slots__ = ("_call", "_ended", "_incoming", "_lent", "_state", "_waiter")

    def __init__(self, incoming: Incoming, call: IncomingCall) -> None:
        self._incoming = incoming
        self._call = call
        self._lent = 0
        self._state = _HOLDS
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None

    def lend(self) -> None:
        self._lent += 1
        if self._ended or self._state is _LENT:
            return
        if self._state is _WAITS:
            self._incoming.leave_line(self)
            self._wake()
            self._state = _LENT
            self._incoming.count_suspended(self._call, +1)
        else:
            self._state = _LENT
            self._incoming.count_suspended(self._call, +1)
            self._incoming.release_slot(self._call)

    def reclaim(self) -> Awaitable[None] | None:
        self._lent -= 1
        if self._lent or self._ended:
            return None
        self._incoming.count_suspended(self._call, -1)
        if self._incoming.take_slot(self):
            self._state = _HOLDS
            return None
        self._state = _WAITS
        self._waiter = self._incoming.loop.create_future()
        return self._wait(self._waiter)

    def grant(self) -> None:
        """The slot is there."""
        self._state = _HOLDS
        self._wake()

    def end(self) -> None:
        """The body has ended; what it left running in the background counts no more."""
        self._ended = True
        if self._state is _HOLDS:
            self._incoming.release_slot(self._call)
        elif self._state is _LENT:
            self._incoming.count_suspended(self._call, -1)
        else:
            self._incoming.leave_line(self)
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self, waiter: asyncio.Future[None]) -> None:
        try:
            await waiter
        except asyncio.CancelledError:
            if self._state is _WAITS and not self._ended:
                # Who is cancelled must clean up now, not when a slot is free.
                self._incoming.force_slot(self)
                self._state = _HOLDS
            raise
