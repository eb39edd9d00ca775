"""
Slots: how many calls run at once, and who runs next.

A call holds a slot while it runs and lends it back while it awaits another call, so that nested
calls cannot starve: whoever waits does not count. Law of precedence: calls that go on
after waiting come first (they hold memory and others wait for them), then nested calls, then
calls from outside. A call that has been lost with its worker before may have to run alone: it
starts when nobody else runs, and nobody starts beside it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

RESUMED, ALONE, NESTED, ROOT = range(4)


class Slots:
    """
    A counter with a waiting line for each precedence.

    Args:
        limit: How many may run at once.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._lines: tuple[deque[Hashable], ...] = (deque(), deque(), deque(), deque())
        self._gone: set[Hashable] = set()
        self._alone: Hashable | None = None

    def take(self, who: Hashable, precedence: int) -> bool:
        """Take a slot at once and return True, or stand in line and return False."""
        if not self._lines[precedence] and self._has_room(precedence):
            self._give(who, precedence)
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

    def release(self, who: Hashable) -> list[Hashable]:
        """Give a slot back; return who got one by that, already counted."""
        self.used -= 1
        if self._alone is who:
            self._alone = None
        return self._fill()

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return sum(map(len, self._lines)) - len(self._gone)

    def _fill(self) -> list[Hashable]:
        given = []
        for precedence, line in enumerate(self._lines):
            while line:
                if line[0] in self._gone:
                    self._gone.discard(line.popleft())
                    continue
                if not self._has_room(precedence):
                    break
                who = line.popleft()
                self._give(who, precedence)
                given.append(who)
        return given

    def _give(self, who: Hashable, precedence: int) -> None:
        self.used += 1
        if precedence == ALONE:
            self._alone = who

    def _has_room(self, precedence: int) -> bool:
        if self._alone is not None:
            # Only what it lends its own slot to may run beside it.
            return precedence == RESUMED and self.used < self.limit
        if precedence == ALONE:
            return self.used == 0
        if precedence > ALONE and self._first_alone():
            return False
        return self.used < self.limit

    def _first_alone(self) -> bool:
        return any(who not in self._gone for who in self._lines[ALONE])

    def __repr__(self) -> str:
        return f"<Slots {self.used} of {self.limit} used, {self.waiting} waiting>"
