"""One call whose body its caller awaits itself, its time, and who is told of it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable
from typing import Any, NamedTuple, TypeVar

from ...places.current import Running, deadline
from ...places.registry import Task
from ...words import errors, hooks
from ...words.ids import new_id

T = TypeVar("T")


class Asked(NamedTuple):
    """What :attr:`InlinedCall.request` tells; see :class:`~atasks_ng.places.current.Call`."""

    task: str
    parent: str | None
    root: str
    depth: int


class InlinedCall:
    """
    A call within one asyncio task. What most bodies do not ask for is made when they do.

    Args:
        found: The task, as the registry has it.
        queue: The queue that would have carried it.
        worker: Name of this worker.
        outer: The call whose body makes it, or ``None``.

    Attributes:
        depth: How many calls stand above it.
        deadline: When it must have ended, in the loop's time, or ``None``.
        timeout: The time it had when it was made, in seconds.
        alarm_at: When it is ended by itself, if no scope has ended it before, in the loop's time.
        has_alarm: True if nothing around it ends it then.
        is_expired: True once its alarm has cancelled its body.
        task: The asyncio task that is cancelled when the deadline has passed.
    """

    attempt = 1
    deadline: float | None = None
    timeout = 0.0
    alarm_at = math.inf
    has_alarm = False
    is_expired = False
    seen: Any = None
    task: asyncio.Task[Any] | None = None
    _id: str | None = None

    def __init__(self, found: Task, queue: str, worker: str, outer: Running | None) -> None:
        self.found = found
        self.queue = queue
        self.worker = worker
        self._outer = outer
        #: The outermost call or its identity; ``None``: this is the outermost.
        self._root: InlinedCall | str | None = None
        if outer is None:
            self.depth = 0
        elif type(outer) is InlinedCall:
            self.depth = outer.depth + 1
            self._root = outer._root or outer
        else:
            self.depth = outer.request.depth + 1
            self._root = outer.request.root

    @property
    def id(self) -> str:
        """Its identity."""
        if self._id is None:
            self._id = new_id()
        return self._id

    @property
    def namespace(self) -> str:
        """Namespace of the task."""
        return self.found.namespace

    @property
    def request(self) -> Asked:
        """What a request would have said."""
        root = self._root or self
        parent = None if self._outer is None else self._outer.id
        return Asked(
            self.found.name, parent, root if isinstance(root, str) else root.id, self.depth
        )

    def limit(self, timeout: float | None) -> None:
        """
        Settle when it must have ended.

        Args:
            timeout: The time it is given, in seconds, or ``None``.

        Raises:
            DeadlineError: That is now, or was.
        """
        outer, scope = self._outer, deadline.get()
        inherited = None if outer is None else outer.deadline
        now = asyncio.get_running_loop().time()
        own = None if timeout is None else now + timeout
        limits = [when for when in (inherited, scope, own) if when is not None]
        if not limits:
            return
        self.deadline = min(limits)
        self.task = asyncio.current_task()
        # A scope cancels its asyncio task, as does whatever ends a call around this one there; an
        # alarm of our own at that time would cancel it once more. But the scope may be that of
        # another asyncio task, so what else there is counts, too.
        others = [when for when in (inherited, own) if when is not None and when != scope]
        if not others:
            return
        self.alarm_at = min(others)
        self.timeout = self.alarm_at - now
        if self.is_over():
            raise self.error()
        is_told = self.alarm_at == inherited and outer is not None and outer.task is self.task
        self.has_alarm = not is_told

    def is_over(self) -> bool:
        """Return True if it should have been ended, beside by a scope."""
        return self.alarm_at <= asyncio.get_running_loop().time()

    def error(self) -> errors.DeadlineError:
        """Return what its caller gets when its time is over."""
        return errors.DeadlineError(self.found.name, self.timeout)


async def in_time(call: InlinedCall, body: Awaitable[T]) -> T:
    """
    Await the body of a call; cancel it when the deadline has passed.

    Raises:
        DeadlineError: It was cancelled, whatever it made of that; its cause is what it raised then.
    """
    me = asyncio.current_task()
    assert me is not None
    call.task = me
    cancels = me.cancelling()

    def strike() -> None:
        call.is_expired = True
        me.cancel()

    alarm = asyncio.get_running_loop().call_at(call.alarm_at, strike)
    try:
        value = await body
    except (Exception, asyncio.CancelledError) as exc:
        # One more cancel than ours is somebody else's, and goes on.
        if call.is_expired and me.uncancel() <= cancels:
            raise call.error() from exc
        raise
    finally:
        alarm.cancel()
    if call.is_expired and me.uncancel() <= cancels:
        raise call.error()
    return value


async def told(call: InlinedCall, body: Awaitable[T]) -> T:
    """Await the body of a call; those who listen hear that it begins and ends."""
    begun = tell_begun(call)
    outcome = "failure"
    try:
        value = await body
        outcome = "value"
    finally:
        tell_ended(call, outcome, begun)
    return value


def tell_sent(call: InlinedCall) -> None:
    """Tell those who listen that a call is made."""
    hooks.emit(hooks.CallSent(call.id, call.found.name, call.namespace, call.queue))


def tell_begun(call: InlinedCall) -> float:
    """Tell those who listen that a body begins; return when, by the clock that is read below."""
    hooks.emit(hooks.CallStarted(call.id, call.found.name, call.namespace, call.worker))
    return time.monotonic()


def tell_ended(call: InlinedCall, outcome: str, begun: float) -> None:
    """Tell those who listen that a body has ended."""
    if call.is_expired:
        outcome = "refusal"
    # Not the loop's time: what a loop has left behind ends without one.
    seconds = time.monotonic() - begun
    names = (call.id, call.found.name, call.namespace, call.worker)
    hooks.emit(hooks.CallPerformed(*names, outcome, seconds))
