"""
Slots: how many calls run at once, and who runs next.

A call holds a slot while it runs and lends it back while it awaits another call, so that nested
calls cannot starve: whoever waits does not count. Law of precedence: calls that go on
after waiting come first (they hold memory and others wait for them), then nested calls, then
calls from outside. A call that has been lost with its worker before may have to run alone: it
starts when nobody else runs, and nobody starts beside it.
"""

from __future__ import annotations

from collections import OrderedDict
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
        self._lines: tuple[OrderedDict[Hashable, None], ...] = tuple(
            OrderedDict() for _ in (RESUMED, ALONE, NESTED, ROOT)
        )
        self._alone: Hashable | None = None
        # How many stand in all lines: most of the time nobody does.
        self._waiting = 0

    def take(self, who: Hashable, precedence: int) -> bool:
        """Take a slot at once and return True, or stand in line and return False."""
        if (
            not self._waiting
            and self._alone is None
            and precedence != ALONE
            and self.used < self.limit
        ):
            # As most of the time; what follows comes to the same.
            self.used += 1
            return True
        if not self._lines[precedence] and self._has_room(precedence):
            self._give(who, precedence)
            return True
        self._lines[precedence][who] = None
        self._waiting += 1
        return False

    def force(self, who: Hashable) -> None:
        """Leave the line and take a slot, even one too many: who is cancelled must not wait."""
        self._forget(who)
        self.used += 1

    def leave(self, who: Hashable) -> list[Hashable]:
        """Leave the line without a slot; return who got one by that, already counted."""
        self._forget(who)
        # Who has to run alone keeps others from starting while it waits.
        return self._fill()

    def release(self, who: Hashable) -> list[Hashable]:
        """Give a slot back; return who got one by that, already counted."""
        self.used -= 1
        if self._alone is who:
            self._alone = None
        return self._fill() if self._waiting else []

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return self._waiting

    def _forget(self, who: Hashable) -> None:
        for line in self._lines:
            if who in line:
                del line[who]
                self._waiting -= 1

    def _fill(self) -> list[Hashable]:
        given: list[Hashable] = []
        for precedence, line in enumerate(self._lines):
            while line and self._has_room(precedence):
                who, _ = line.popitem(last=False)
                self._waiting -= 1
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
        if precedence > ALONE and self._lines[ALONE]:
            return False
        return self.used < self.limit

    def __repr__(self) -> str:
        return f"<Slots {self.used} of {self.limit} used, {self.waiting} waiting>"
