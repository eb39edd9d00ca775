"""
Streams: the items of an async generator, with credit.

Law: the producer runs on its own up to a numbered item, the limit: what the consumer has taken,
plus the window. So it is never more than a window ahead, and with a window of 1 it moves exactly
when a local generator would. Every pull can be repeated without harm: limits are absolute, and
what is sent or thrown in is numbered.

Items are numbered from 1 within a run. A consumer that has taken items of one run takes none of
another: a generator that was started again elsewhere is not the one it was reading.
"""

from __future__ import annotations

from collections import deque

from ..words.errors import BadMessageError
from .envelopes import Baggage, Item, Pull

#: What a consumer asks for: the next item, to send a value in, to throw an exception in, to end;
#: or to hear again what it may have missed.
NEXT, SEND, THROW, CLOSE, AGAIN = "next", "send", "throw", "close", "again"
VERBS = (NEXT, SEND, THROW, CLOSE, AGAIN)


class Consumer:
    """
    The receiving end of one stream.

    Args:
        window: How many items the producer may be ahead.

    Attributes:
        origin: Address of the process that produces; known from the first item on.
        received: How many items have arrived.
    """

    __slots__ = (
        "_buffer",
        "_limit",
        "_run",
        "_taken",
        "_turn",
        "last_pull",
        "origin",
        "received",
        "window",
    )

    def __init__(self, window: int) -> None:
        self.window = window
        self.origin: str | None = None
        self.received = 0
        self.last_pull: Pull | None = None
        self._taken = 0
        self._limit = window
        self._turn = 0
        self._run: str | None = None
        self._buffer: deque[Item] = deque()

    def is_of_another_run(self, item: Item) -> bool:
        """Return True for an item of a generator that was started again."""
        return self._run is not None and item.run != self._run

    def accept(self, item: Item) -> bool:
        """Keep an item; return False for one that came before."""
        if item.number != self.received + 1:
            return False
        self._run = item.run
        self.origin = item.origin
        self.received += 1
        self._buffer.append(item)
        return True

    def take(self) -> Item | None:
        """Return the next item that is here already."""
        if not self._buffer:
            return None
        self._taken += 1
        return self._buffer.popleft()

    def discard(self) -> None:
        """Drop what the producer was ahead by: the consumer goes another way."""
        self._taken += len(self._buffer)
        self._buffer.clear()

    def pull(
        self, id: str, verb: str = NEXT, payload: bytes = b"", context: Baggage | None = None
    ) -> Pull:
        """Return the envelope that asks for more, or sends something in."""
        self._limit = self._taken + self.window
        turn = 0
        if verb not in (NEXT, AGAIN):
            self._turn += 1
            turn = self._turn
        pull = Pull(id, verb, turn, self.received, self._limit, context, payload)
        if verb != AGAIN:
            self.last_pull = pull
        return pull

    @property
    def owes_much(self) -> bool:
        """True when half a window was taken: time to say so, before the producer stops."""
        return 2 * (self._taken + self.window - self._limit) >= self.window > 1


class Producer:
    """
    The sending end of one stream.

    Args:
        id: Identity of the call.
        run: Identity of this run of the generator.
        origin: Address of this process.
        limit: Number of the last item that may be sent before the consumer asks for more.
    """

    __slots__ = (
        "_context",
        "_id",
        "_limit",
        "_number",
        "_origin",
        "_pulls",
        "_run",
        "_turn",
        "_unseen",
    )

    def __init__(self, id: str, run: str, origin: str, limit: int) -> None:
        self._id = id
        self._run = run
        self._origin = origin
        self._limit = limit
        self._number = 0
        self._turn = 0
        self._context: Baggage | None = None
        self._unseen: deque[Item] = deque()
        self._pulls: deque[Pull] = deque()

    def yielded(self, payload: bytes, context: Baggage | None) -> Item:
        """Return the envelope for the next item."""
        self._number += 1
        item = Item(self._id, self._run, self._number, self._origin, context, payload)
        self._unseen.append(item)
        return item

    @property
    def unseen(self) -> list[Item]:
        """The items of which the consumer has not said that it has them."""
        return list(self._unseen)

    def pulled(self, pull: Pull) -> list[Item]:
        """
        Take what the consumer asks for; return items to send again.

        Raises:
            BadMessageError: There is no such verb, or more was seen than sent.
        """
        if pull.verb not in VERBS or not 0 <= pull.seen <= self._number:
            raise BadMessageError("a pull that fits no stream")
        while self._unseen and self._unseen[0].number <= pull.seen:
            self._unseen.popleft()
        if pull.verb == AGAIN:
            # The limit stays: what was to be sent in may be lost, and comes behind this.
            return self.unseen
        self._limit = max(self._limit, pull.limit)
        if pull.turn > self._turn:
            self._turn = pull.turn
            self._pulls.append(pull)
        elif pull.verb == NEXT and pull.context is not None:
            self._context = {**(self._context or {}), **pull.context}
        return []

    def next_step(self) -> Pull | None:
        """Return what the generator is to do next, or ``None``: it has to wait."""
        if self._pulls:
            return self._pulls.popleft()
        if self._number >= self._limit:
            return None
        context, self._context = self._context, None
        return Pull(self._id, NEXT, 0, self._number, self._limit, context, b"")
