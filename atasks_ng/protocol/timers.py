"""Points in time at which a machine wants to be told the time again."""

from __future__ import annotations

import heapq
import itertools
from typing import Generic, TypeVar

T = TypeVar("T")


class Timers(Generic[T]):
    """
    A heap of moments, each with a subject and a reason.

    Entries are not removed when they lose their meaning; whoever takes them out checks. The
    machine calls :meth:`compact` with the number that still matter, so that a heap of dead
    entries cannot grow.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str, T]] = []
        self._order = itertools.count()

    def add(self, when: float, reason: str, subject: T) -> None:
        """Ask for a moment."""
        heapq.heappush(self._heap, (when, next(self._order), reason, subject))

    def due(self, now: float) -> list[tuple[str, T]]:
        """Take out everything whose moment has come, in order."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            _, _, reason, subject = heapq.heappop(self._heap)
            found.append((reason, subject))
        return found

    def next(self) -> float | None:
        """Return the earliest moment asked for, or ``None``."""
        return self._heap[0][0] if self._heap else None

    def compact(self, live: dict[str, T]) -> None:
        """Drop the entries of subjects that are not in the table of the living any more."""
        # 1000: below that a sweep costs more than the memory is worth.
        if len(self._heap) > 1000 and len(self._heap) > 4 * len(live):
            alive = {id(subject) for subject in live.values()}
            self._heap = [entry for entry in self._heap if id(entry[3]) in alive]
            heapq.heapify(self._heap)

    def __len__(self) -> int:
        return len(self._heap)
