"""
The caller's machine: every call that this process awaits, from the request to its end.

Law: each (state, event) pair is listed in ``CALLER``. An envelope for a call that is in no table
is late or a stranger's: it is counted and dropped.

States: ``open`` (an answer is awaited), ``parked`` (a stream whose consumer is busy with an item),
``cancelling`` (the caller was cancelled and waits for the callee to end), ``ended``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ..words.errors import DeadlineError, NoWorkerError, WorkerLostError
from .actions import Action, Deliver, End, Send, SendCancel, SendPull, Warn
from .envelopes import Envelope, Item, Notice, Pull
from .streams import AGAIN, Consumer
from .timers import Timers

OPEN, PARKED, CANCELLING, ENDED = "open", "parked", "cancelling", "ended"

#: Events.
REPLY, NOTICE, CANCEL, ABANDON, DEADLINE = "reply", "notice", "cancel", "abandon", "deadline"
RETURNED, RESEND, QUIET, RELINKED, LOST = "returned", "resend", "quiet", "relinked", "lost"
ITEM, ASK, RESTARTED = "item", "ask", "restarted"

#: (state, event) → (next state, steps). Steps are methods of ``Caller``, done in this order.
CALLER: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    (OPEN, REPLY): (ENDED, ("end",)),
    (OPEN, NOTICE): (OPEN, ()),
    (OPEN, CANCEL): (CANCELLING, ("send_cancel", "await_sign")),
    (OPEN, ABANDON): (ENDED, ("send_cancel",)),
    (OPEN, DEADLINE): (ENDED, ("send_expiry", "end_expired")),
    (OPEN, RETURNED): (OPEN, ("try_later",)),
    (OPEN, RESEND): (OPEN, ("send",)),
    (OPEN, RELINKED): (OPEN, ("send_again",)),
    (OPEN, QUIET): (OPEN, ()),
    (OPEN, LOST): (ENDED, ("end",)),
    (OPEN, ITEM): (PARKED, ("deliver",)),
    (OPEN, RESTARTED): (ENDED, ("send_cancel", "end_restarted")),
    (PARKED, ASK): (OPEN, ("send_pull",)),
    (PARKED, ITEM): (PARKED, ()),
    (PARKED, REPLY): (ENDED, ("end",)),
    (PARKED, NOTICE): (PARKED, ()),
    (PARKED, ABANDON): (ENDED, ("send_cancel",)),
    (PARKED, DEADLINE): (ENDED, ("send_expiry", "end_expired")),
    (PARKED, RETURNED): (PARKED, ()),
    (PARKED, RESEND): (PARKED, ()),
    (PARKED, QUIET): (PARKED, ()),
    (PARKED, RELINKED): (PARKED, ()),
    (PARKED, LOST): (ENDED, ("end",)),
    (PARKED, RESTARTED): (ENDED, ("send_cancel", "end_restarted")),
    (CANCELLING, REPLY): (ENDED, ("end",)),
    (CANCELLING, NOTICE): (CANCELLING, ("await_end",)),
    (CANCELLING, CANCEL): (CANCELLING, ("send_cancel",)),
    (CANCELLING, ABANDON): (ENDED, ()),
    (CANCELLING, DEADLINE): (ENDED, ("end_expired",)),
    # It never reached a queue, so it never starts.
    (CANCELLING, RETURNED): (ENDED, ("end_cancelled",)),
    (CANCELLING, RESEND): (ENDED, ("end_cancelled",)),
    (CANCELLING, QUIET): (ENDED, ("end_cancelled",)),
    (CANCELLING, RELINKED): (CANCELLING, ("send_cancel",)),
    (CANCELLING, LOST): (ENDED, ("end_cancelled",)),
    # An async generator that swallows the cancel and yields.
    (CANCELLING, ITEM): (PARKED, ("deliver",)),
    (CANCELLING, RESTARTED): (ENDED, ("send_cancel", "end_cancelled")),
}


@dataclasses.dataclass(frozen=True, slots=True)
class CallerTimes:
    """
    Patience of a caller, in seconds.

    Attributes:
        worker_grace: How long a call may find nobody who serves its queue.
        warn_after: When the log says so.
        retry_every: Pause between two tries to hand such a call over.
        sign: How long a cancelled call waits for a first sign that somebody runs it. 1 s:
            a worker that is alive answers in a round trip; one that does not is busy
            with something else than this call, or has not got it.
        cancel_grace: How long it then waits for the end of the callee's clean-up.
    """

    worker_grace: float = 30.0
    warn_after: float = 5.0
    retry_every: float = 0.5
    sign: float = 1.0
    cancel_grace: float = 30.0


class OutgoingCall:
    """
    One awaited call.

    Attributes:
        id: Its identity.
        task: Name of the task.
        namespace: Namespace of the task.
        queue: Queue that carries it.
        timeout: The time it has in all, in seconds, or ``None``.
        deadline: When it must have ended, or ``None``.
        state: State in the table.
        cancel_message: What the latest cancel said.
        unserved_since: When it was first returned because nobody serves its queue.
        consumer: The receiving end, if the task is an async generator.
    """

    __slots__ = (
        "_warned",
        "back",
        "cancel_message",
        "cancels",
        "consumer",
        "deadline",
        "id",
        "message",
        "namespace",
        "outcome",
        "queue",
        "quiet_at",
        "state",
        "task",
        "timeout",
        "unserved_since",
        "waiter",
    )

    def __init__(
        self,
        id: str,
        task: str,
        namespace: str,
        queue: str,
        *,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> None:
        self.id = id
        self.task = task
        self.namespace = namespace
        self.queue = queue
        self.timeout = timeout
        self.deadline = deadline
        self.state = OPEN
        self.cancel_message: str | None = None
        self.unserved_since: float | None = None
        self.consumer: Consumer | None = None
        self.quiet_at: float | None = None
        self._warned = False
        # The shell's own: what it sends again, what it wakes, and the context that came back. No
        # rule looks at them.
        self.back: Any = None
        self.cancels = 0
        self.message: Any = None
        self.outcome: Any = None
        self.waiter: Any = None

    def __repr__(self) -> str:
        return f"<OutgoingCall {self.id[:8]} of {self.task!r}, {self.state}>"


class Caller:
    """
    The table of awaited calls.

    Args:
        times: Its patience.
    """

    def __init__(self, times: CallerTimes | None = None) -> None:
        self.times = times or CallerTimes()
        self.calls: dict[str, OutgoingCall] = {}
        self._timers: Timers[OutgoingCall] = Timers()

    def open(self, call: OutgoingCall) -> None:
        """Enter a call into the table; its request is about to be sent."""
        self.calls[call.id] = call
        if call.deadline is not None:
            self._timers.add(call.deadline, DEADLINE, call)

    def receive(self, envelope: Envelope, now: float) -> list[Action]:
        """Take an envelope from a worker; an empty list means that it was of no use."""
        call = self.calls.get(envelope.id)
        if call is None:
            return []
        if type(envelope) is Item:
            return self._receive_item(call, envelope, now)
        return self._happen(call, NOTICE if type(envelope) is Notice else REPLY, now, envelope)

    def ask(self, call: OutgoingCall, pull: Pull, now: float) -> list[Action]:
        """The consumer of a stream wants the next item, or has something to send in."""
        return self._happen(call, ASK, now, pull)

    def cancel(self, call: OutgoingCall, message: str | None, now: float) -> list[Action]:
        """The task that awaits the call was cancelled."""
        call.cancel_message = message
        return self._happen(call, CANCEL, now)

    def abandon(self, call: OutgoingCall, now: float) -> list[Action]:
        """Nobody awaits the call any more, and nobody will."""
        return [] if call.state is ENDED else self._happen(call, ABANDON, now)

    def returned(self, id: str, now: float) -> list[Action]:
        """The transport found nobody who serves the queue of the call."""
        call = self.calls.get(id)
        return [] if call is None else self._happen(call, RETURNED, now)

    def failed(self, id: str, error: BaseException, now: float) -> list[Action]:
        """The transport cannot carry the call."""
        call = self.calls.get(id)
        return [] if call is None else self._happen(call, LOST, now, error)

    def relinked(self, now: float) -> list[Action]:
        """The link is back: what was under way may be lost, so everything is sent again."""
        return self._for_all(RELINKED, now)

    def close(self, error: BaseException, now: float) -> list[Action]:
        """The transport is gone for good: every call ends."""
        return self._for_all(LOST, now, error)

    def tick(self, now: float) -> list[Action]:
        """Tell the time; call it at :meth:`next_tick`."""
        actions: list[Action] = []
        for reason, call in self._timers.due(now):
            if call.state is ENDED or (reason == QUIET and self._is_heard(call, now)):
                continue
            actions += self._happen(call, reason, now)
        return actions

    def next_tick(self) -> float | None:
        """Return when to call :meth:`tick`, or ``None``."""
        return self._timers.next()

    def _receive_item(self, call: OutgoingCall, item: Item, now: float) -> list[Action]:
        consumer = call.consumer
        if consumer is None:
            return []
        if consumer.is_of_another_run(item):
            return self._happen(call, RESTARTED, now)
        return self._happen(call, ITEM, now, item) if consumer.accept(item) else []

    def _for_all(self, event: str, now: float, data: Any = None) -> list[Action]:
        actions: list[Action] = []
        for call in list(self.calls.values()):
            actions += self._happen(call, event, now, data)
        return actions

    def _happen(self, call: OutgoingCall, event: str, now: float, data: Any = None) -> list[Action]:
        call.state, steps = CALLER[call.state, event]
        if call.state is ENDED:
            del self.calls[call.id]
            self._timers.compact(self.calls)
        actions: list[Action] = []
        for step in steps:
            _STEPS[step](self, call, now, data, actions)
        return actions

    # -- steps ---------------------------------------------------------------------------------

    def _send(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        actions.append(Send(call))

    def _send_again(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        if call.consumer is None or not call.consumer.received:
            actions.append(Send(call))
        else:
            actions.append(SendPull(call, call.consumer.pull(call.id, AGAIN)))
            if call.consumer.last_pull is not None:
                actions.append(SendPull(call, call.consumer.last_pull))

    def _send_pull(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        actions.append(SendPull(call, data))

    def _deliver(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        actions.append(Deliver(call, data))

    def _send_cancel(
        self, call: OutgoingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        actions.append(SendCancel(call, "cancel"))

    def _send_expiry(
        self, call: OutgoingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        actions.append(SendCancel(call, "deadline"))

    def _await_sign(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        call.quiet_at = now + self.times.sign
        self._timers.add(call.quiet_at, QUIET, call)

    def _await_end(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        call.quiet_at = now + self.times.cancel_grace
        self._timers.add(call.quiet_at, QUIET, call)

    def _is_heard(self, call: OutgoingCall, now: float) -> bool:
        return call.quiet_at is None or call.quiet_at > now

    def _try_later(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        if call.unserved_since is None:
            call.unserved_since = now
        unserved = now - call.unserved_since
        if unserved >= self.times.worker_grace:
            error = NoWorkerError(call.task, call.queue, self.times.worker_grace, call.namespace)
            actions += self._happen(call, LOST, now, error)
            return
        if unserved >= self.times.warn_after and not call._warned:
            call._warned = True
            actions.append(Warn(call))
        left = call.unserved_since + self.times.worker_grace - now
        self._timers.add(now + min(self.times.retry_every, left), RESEND, call)

    def _end(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        actions.append(End(call, data))

    def _end_expired(
        self, call: OutgoingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        actions.append(End(call, DeadlineError(call.task, call.timeout or 0.0)))

    def _end_restarted(
        self, call: OutgoingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        actions.append(End(call, WorkerLostError(call.task, 1)))

    def _end_cancelled(
        self, call: OutgoingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        actions.append(End(call, None))


_Step = Callable[[Caller, OutgoingCall, float, Any, list[Action]], None]

_STEPS: dict[str, _Step] = {
    step: getattr(Caller, f"_{step}") for _, steps in CALLER.values() for step in steps
}
