"""Points in time at which a machine wants to be told the time again."""

from __future__ import annotations

import heapq
import itertools
from typing import Generic, TypeVar

T = TypeVar("T")

#: Entries worth looking through for dead ones. 1000: a sweep costs more than the memory of fewer.
MANY = 1000


class Timers(Generic[T]):
    """
    A heap of moments, each with a subject and a reason.

    Entries are not removed when they lose their meaning; whoever takes them out checks. When there
    are more than :data:`MANY`, the machine calls :meth:`compact` with the number that still matter,
    so that a heap of dead entries cannot grow.

    Attributes:
        moments: The heap, always the same list: most of the time it is empty, as can be seen
            without a call.
    """

    def __init__(self) -> None:
        self.moments: list[tuple[float, int, str, T]] = []
        self._order = itertools.count()

    def add(self, when: float, reason: str, subject: T) -> None:
        """Ask for a moment."""
        heapq.heappush(self.moments, (when, next(self._order), reason, subject))

    def due(self, now: float) -> list[tuple[str, T]]:
        """Take out everything whose moment has come, in order."""
        found = []
        while self.moments and self.moments[0][0] <= now:
            _, _, reason, subject = heapq.heappop(self.moments)
            found.append((reason, subject))
        return found

    def next(self) -> float | None:
        """Return the earliest moment asked for, or ``None``."""
        return self.moments[0][0] if self.moments else None

    def compact(self, live: dict[str, T]) -> None:
        """Drop the entries of subjects that are not in the table of the living any more."""
        if len(self.moments) > max(MANY, 4 * len(live)):
            alive = {id(subject) for subject in live.values()}
            self.moments[:] = [entry for entry in self.moments if id(entry[3]) in alive]
            heapq.heapify(self.moments)

    def __len__(self) -> int:
        return len(self.moments)
