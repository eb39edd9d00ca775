"""Acknowledgements that wait for others, so that one frame stands for many."""

from __future__ import annotations

import asyncio

from .wire import Wire


class Late:
    """
    When acknowledgements that can wait are due.

    Each costs the broker as much as a message, and a write of its own when nothing else is to be
    sent. What is not acknowledged when the link is lost is delivered again, and known then.

    Args:
        wire: Told when it is time to write them.
        messages: After how many of them; 0 or 1: at once.
        bytes: After how many bytes of messages.
        seconds: How long the first of them waits at most.

    Attributes:
        is_due: True when they are to be sent now.
    """

    __slots__ = ("_bytes", "_count", "_seconds", "_size", "_timer", "_wire", "is_due", "messages")

    def __init__(self, wire: Wire, messages: int, bytes: int, seconds: float) -> None:
        self.messages = messages
        self.is_due = False
        self._wire = wire
        self._bytes = bytes
        self._seconds = seconds
        self._count = self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, size: int = 0) -> None:
        """Note one more that can wait."""
        self._count += 1
        self._size += size
        if self._count >= self.messages or self._size >= self._bytes:
            self.is_due = True
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._ring)

    def fall_due(self) -> None:
        """Have what waits written."""
        if self._count:
            self.is_due = True
            self._wire.stir()

    def take(self) -> bool:
        """Return True, and begin anew, if it is time."""
        if not self.is_due:
            return False
        self.is_due = False
        self._count = self._size = 0
        return True

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        # Never cancelled while there are messages: to make one anew for each batch costs more than
        # that it rings early now and then.
        self._timer = None
        self.fall_due()
