"""
Slots: how many calls run at once, and who runs next.

A call holds a slot while it runs and lends it back while it awaits another call, so that nested
calls cannot starve: whoever waits does not count. Law of precedence: calls that go on
after waiting come first (they hold memory and others wait for them), then nested calls, then
calls from outside.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

RESUMED, NESTED, ROOT = range(3)


class Slots:
    """
    A counter with three waiting lines.

    Args:
        limit: How many may run at once.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._lines: tuple[deque[Hashable], ...] = (deque(), deque(), deque())
        self._gone: set[Hashable] = set()

    def take(self, who: Hashable, precedence: int) -> bool:
        """Take a slot at once and return True, or stand in line and return False."""
        if self.used < self.limit:
            # A free slot means that nobody stands in line: release() hands slots on.
            self.used += 1
            return True
        self._lines[precedence].append(who)
        return False

    def force(self, who: Hashable) -> None:
        """Leave the line and take a slot, even one too many: who is cancelled must not wait."""
        self.leave(who)
        self.used += 1

    def leave(self, who: Hashable) -> None:
        """Leave the line without a slot."""
        self._gone.add(who)

    def release(self) -> Hashable | None:
        """Give a slot back; return who got it, already counted, or ``None``."""
        self.used -= 1
        if self.used >= self.limit:
            return None
        for line in self._lines:
            while line:
                who = line.popleft()
                if who in self._gone:
                    self._gone.discard(who)
                    continue
                self.used += 1
                return who
        return None

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return sum(map(len, self._lines)) - len(self._gone)

    def __repr__(self) -> str:
        return f"<Slots {self.used} of {self.limit} used, {self.waiting} waiting>"
