"""The call that is running now, as a context variable."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Mapping
from contextvars import ContextVar, Token
from typing import Any, Protocol


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """
    One call, as its body sees it.

    Attributes:
        id: Its identity, 32 hexadecimal digits; the same on every attempt.
        task: Name of the task.
        namespace: Namespace of the task.
        queue: Queue that brought it.
        parent: Identity of the call that awaits this one; ``None`` when no task does.
        root: Identity of the outermost call of this tree.
        depth: How many calls stand above it; 0 for a root.
        attempt: 1 for the first delivery to a worker, more after a worker was lost.
        deadline: When it must have ended, in the time of the running loop (``loop.time()``);
            ``None`` when there is no limit.
        worker: Name of the worker that runs it.
    """

    id: str
    task: str
    namespace: str
    queue: str
    parent: str | None
    root: str
    depth: int
    attempt: int
    deadline: float | None
    worker: str


class Asked(Protocol):
    """What was asked of a worker; see :class:`Call`."""

    @property
    def task(self) -> str: ...
    @property
    def parent(self) -> str | None: ...
    @property
    def root(self) -> str: ...
    @property
    def depth(self) -> int: ...


class Running(Protocol):
    """
    A call whose body is running, as its worker keeps it; see :class:`Call`.

    Attributes:
        task: The asyncio task that is cancelled when its time is over; ``None`` if there is none.
        seen: What the body was shown of it, once it has asked.
    """

    seen: Any

    @property
    def id(self) -> str: ...
    @property
    def request(self) -> Asked: ...
    @property
    def namespace(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def deadline(self) -> float | None: ...
    @property
    def worker(self) -> str: ...
    @property
    def task(self) -> Any: ...


class Slot(Protocol):
    """The right to run, held by the running call and lent back while it awaits another call."""

    def lend(self) -> None:
        """Give the slot back: the call is about to wait for another one."""

    def reclaim(self) -> Awaitable[None] | None:
        """Take the slot again; the result, unless ``None``, must be awaited before going on."""


#: The call whose body is running, as its worker keeps it.
running: ContextVar[Running | None] = ContextVar("atasks_ng_call", default=None)
slot: ContextVar[Slot | None] = ContextVar("atasks_ng_slot", default=None)

#: When the nearest ``atasks_ng.timeout`` around the running code ends, in the loop's time.
deadline: ContextVar[float | None] = ContextVar("atasks_ng_deadline", default=None)

#: How to unset what an async generator has set in the context of its consumer.
tokens: ContextVar[Mapping[ContextVar[Any], Token[Any]]] = ContextVar("atasks_ng_tokens")

#: Variables of the library itself; they describe one call and never travel.
OWN = (running, slot, deadline, tokens)


def current_call() -> Call | None:
    """Return the call whose body is running, or ``None`` outside of any task."""
    call = running.get()
    if call is None:
        return None
    if call.seen is None:
        # Only now: most bodies never ask.
        request = call.request
        call.seen = Call(
            id=call.id,
            task=request.task,
            namespace=call.namespace,
            queue=call.queue,
            parent=request.parent,
            root=request.root,
            depth=request.depth,
            attempt=call.attempt,
            deadline=call.deadline,
            worker=call.worker,
        )
    seen: Call = call.seen
    return seen
