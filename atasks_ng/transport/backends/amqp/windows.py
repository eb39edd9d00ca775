"""
How many requests of a queue a worker holds.

RabbitMQ cannot change the prefetch of a running consumer, so a window is a number of consumers of
the same queue: adding one widens it, cancelling one narrows it. Planning is done here without
any input or output; the session carries the plans out.
"""

from __future__ import annotations

import dataclasses
import itertools

# A window grows by at least this share of itself, so that a deep recursion needs few consumers.
_GROWTH = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class Open:
    """Add a consumer."""

    tag: str
    prefetch: int


@dataclasses.dataclass(frozen=True, slots=True)
class Shut:
    """Cancel a consumer."""

    tag: str


class Window:
    """
    The consumers of one queue.

    Args:
        queue: Name of the queue as users know it.
        nested: True for the queue of nested calls, whose window has no bound: each of its calls is
            awaited by one that already runs.
        base: How many calls may run at once.
        max_suspended: How many suspended calls may be held beside them, if it is not nested.

    Attributes:
        suspended: How many calls of it wait for others.
        stale: How many requests lay in the queue when it was opened, and have not come yet.
        is_shut: True if what it still brings is handed back.
    """

    def __init__(self, queue: str, *, nested: bool, base: int, max_suspended: int) -> None:
        self.queue = queue
        self.nested = nested
        self.base = base
        self.suspended = 0
        self.stale = 0
        self.is_shut = False
        self._max_suspended = max_suspended
        self._consumers: list[Open] = []
        self._numbers = itertools.count(1)

    def take_stale(self) -> bool:
        """Return True if the request that has come may have waited for long; count it."""
        if not self.stale:
            return False
        self.stale -= 1
        return True

    @property
    def size(self) -> int:
        """How many requests can be held now."""
        return sum(consumer.prefetch for consumer in self._consumers)

    @property
    def tags(self) -> list[str]:
        """The tags of its consumers."""
        return [consumer.tag for consumer in self._consumers]

    @property
    def target(self) -> int:
        """How many should be."""
        if self.nested:
            return self.base + self.suspended
        return self.base + min(self.suspended, self._max_suspended)

    def grow(self) -> Open | None:
        """Return the consumer to add, or ``None`` if the window is wide enough."""
        missing = self.target - self.size
        if missing <= 0:
            return None
        if self._consumers and self.nested:
            missing = max(missing, int(self.size * _GROWTH))
        # 65535: prefetch is a 16-bit field.
        consumer = Open(self._tag(), min(missing, 65535))
        self._consumers.append(consumer)
        return consumer

    def shrink(self) -> list[Shut]:
        """Return the consumers to cancel; call it now and then, not at each change."""
        found = []
        while len(self._consumers) > 1:
            newest = self._consumers[-1]
            if self.size - newest.prefetch < self.target:
                break
            self._consumers.pop()
            found.append(Shut(newest.tag))
        return found

    def forget(self) -> None:
        """The channel is gone, and all consumers with it."""
        self._consumers.clear()

    def _tag(self) -> str:
        kind = "nested" if self.nested else "root"
        return f"{self.queue}:{kind}:{next(self._numbers)}"
