"""
The callee's machine: every call that was delivered to this worker, until it is settled.

Law: each (state, event) pair is listed in ``CALLEE``. A cancel for a call that is in no table may
have overtaken it: it is remembered for a while, and the call, when it comes, never starts.

States: ``waiting`` (delivered, no slot free), ``running``, ``cancelling`` (running, and told to
stop), ``answering`` (the body has ended, its answer is being encoded), ``ended``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from .actions import Action, Answer, AnswerAgain, HandBack, Interrupt, Say, Start
from .envelopes import CANCELLING as NOTICE_CANCELLING
from .envelopes import Cancel, Cancelled, Envelope, Notice, Request
from .slots import NESTED, ROOT, Slots
from .timers import Timers

WAITING, RUNNING, CANCELLING, ANSWERING, ENDED = (
    "waiting",
    "running",
    "cancelling",
    "answering",
    "ended",
)

#: Events.
SLOT, CANCEL, DEADLINE, BODY_ENDED, ANSWERED, RECALL = (
    "slot",
    "cancel",
    "deadline",
    "body ended",
    "answered",
    "recall",
)

#: (state, event) → (next state, steps). Steps are methods of ``Callee``, done in this order.
CALLEE: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    (WAITING, SLOT): (RUNNING, ("start",)),
    (WAITING, CANCEL): (ENDED, ("leave_line", "answer_cancelled")),
    (WAITING, DEADLINE): (ENDED, ("leave_line", "answer_nothing")),
    (WAITING, RECALL): (ENDED, ("leave_line", "hand_back")),
    (RUNNING, CANCEL): (CANCELLING, ("notice", "interrupt")),
    (RUNNING, DEADLINE): (CANCELLING, ("interrupt",)),
    (RUNNING, BODY_ENDED): (ANSWERING, ()),
    (RUNNING, RECALL): (CANCELLING, ("mark_recalled", "interrupt")),
    (CANCELLING, CANCEL): (CANCELLING, ("notice", "interrupt")),
    (CANCELLING, DEADLINE): (CANCELLING, ()),
    (CANCELLING, BODY_ENDED): (ANSWERING, ()),
    (CANCELLING, RECALL): (CANCELLING, ("interrupt",)),
    (ANSWERING, CANCEL): (ANSWERING, ()),
    (ANSWERING, DEADLINE): (ANSWERING, ()),
    (ANSWERING, RECALL): (ANSWERING, ()),
    (ANSWERING, ANSWERED): (ENDED, ("answer",)),
}

# Bounds of what is remembered of the past: enough for every call that can be under way between
# a worker and its callers, and a known amount of memory.
REMEMBERED_CANCELS = 10_000
REMEMBERED_ANSWERS = 10_000
REMEMBERED_ANSWER_BYTES = 16 * 1024 * 1024


class IncomingCall:
    """
    One delivered call.

    Attributes:
        request: What was asked.
        nested: True if it came by the queue of nested calls.
        deadline: When it must have ended, or ``None``.
        state: State in the table.
        recalled: True if a stopping worker took it back: it is handed to another one.
    """

    __slots__ = (
        "begun",
        "cancel_message",
        "cancels",
        "context",
        "deadline",
        "delivery",
        "id",
        "interrupted",
        "nested",
        "producing",
        "queue",
        "recalled",
        "request",
        "started",
        "state",
        "task",
        "thrown",
    )

    def __init__(self, request: Request, queue: str, *, nested: bool = False) -> None:
        self.id = request.id
        self.request = request
        self.queue = queue
        self.nested = nested
        self.deadline: float | None = None
        self.state = WAITING
        self.recalled = False
        self.cancel_message: str | None = None
        # The shell's own. No rule looks at them.
        self.begun = False
        self.interrupted = False
        self.cancels = 0
        self.producing: Any = None
        self.thrown: BaseException | None = None
        self.context: Any = None
        self.delivery: Any = None
        self.task: Any = None
        self.started = 0.0

    def __repr__(self) -> str:
        return f"<IncomingCall {self.id[:8]} of {self.request.task!r}, {self.state}>"


class Callee:
    """
    The table of delivered calls, and the slots they run in.

    Args:
        worker: Name of this worker, for notices.
        concurrency: How many calls may run at once.
    """

    def __init__(self, worker: str, concurrency: int) -> None:
        self.worker = worker
        self.slots = Slots(concurrency)
        self.calls: dict[str, IncomingCall] = {}
        self._timers: Timers[IncomingCall] = Timers()
        self._cancelled: OrderedDict[str, str | None] = OrderedDict()
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self._answer_bytes = 0

    def deliver(self, call: IncomingCall, now: float) -> list[Action]:
        """A request arrived."""
        known = self.calls.get(call.id)
        if known is not None:
            # The caller sent it again, or the link was cut: the run goes on and answers both.
            known.delivery, call.delivery = call.delivery, known.delivery
            return [Answer(call, None)]
        answer = self._answers.get(call.id)
        if answer is not None:
            return [AnswerAgain(call, answer)]
        if call.id in self._cancelled:
            message = self._cancelled.pop(call.id)
            return [Answer(call, Cancelled(call.id, message))]
        self.calls[call.id] = call
        ttl_ms = call.request.ttl_ms
        if ttl_ms is not None:
            call.deadline = now + ttl_ms / 1000
            self._timers.add(call.deadline, DEADLINE, call)
        if self.slots.take(call, NESTED if call.nested else ROOT):
            return self._happen(call, SLOT, now)
        return []

    def cancel(self, cancel: Cancel, now: float) -> list[Action]:
        """A caller cancelled a call."""
        call = self.calls.get(cancel.id)
        if call is None:
            self._remember_cancel(cancel)
            return []
        call.cancel_message = cancel.message
        return self._happen(call, DEADLINE if cancel.reason == "deadline" else CANCEL, now)

    def granted(self, call: IncomingCall, now: float) -> list[Action]:
        """A slot became free, and the call has it."""
        return self._happen(call, SLOT, now)

    def body_ended(self, call: IncomingCall, now: float) -> list[Action]:
        """The body returned or raised; from now on the call cannot be cancelled."""
        return self._happen(call, BODY_ENDED, now)

    def answered(self, call: IncomingCall, envelope: Envelope, now: float) -> list[Action]:
        """The answer is ready to be sent."""
        return self._happen(call, ANSWERED, now, envelope)

    def sent(self, call: IncomingCall, body: bytes) -> None:
        """The answer went out; keep it in case the caller asks again."""
        self._answers[call.id] = body
        self._answer_bytes += len(body)
        while (
            len(self._answers) > REMEMBERED_ANSWERS or self._answer_bytes > REMEMBERED_ANSWER_BYTES
        ):
            _, oldest = self._answers.popitem(last=False)
            self._answer_bytes -= len(oldest)

    def recall(self, now: float, *, waiting_only: bool = False) -> list[Action]:
        """The worker stops: hand back what waits, and, unless told otherwise, what runs."""
        actions: list[Action] = []
        for call in list(self.calls.values()):
            if call.state is WAITING or not waiting_only:
                actions += self._happen(call, RECALL, now)
        return actions

    def tick(self, now: float) -> list[Action]:
        """Tell the time; call it at :meth:`next_tick`."""
        actions: list[Action] = []
        for reason, call in self._timers.due(now):
            if call.state is not ENDED:
                actions += self._happen(call, reason, now)
        return actions

    def next_tick(self) -> float | None:
        """Return when to call :meth:`tick`, or ``None``."""
        return self._timers.next()

    def _remember_cancel(self, cancel: Cancel) -> None:
        if cancel.id in self._answers:
            return
        self._cancelled[cancel.id] = cancel.message
        if len(self._cancelled) > REMEMBERED_CANCELS:
            self._cancelled.popitem(last=False)

    def _happen(self, call: IncomingCall, event: str, now: float, data: Any = None) -> list[Action]:
        call.state, steps = CALLEE[call.state, event]
        if call.state is ENDED:
            del self.calls[call.id]
            self._timers.compact(self.calls)
        actions: list[Action] = []
        for step in steps:
            _STEPS[step](self, call, data, actions)
        return actions

    # -- steps ---------------------------------------------------------------------------------

    def _start(self, call: IncomingCall, data: Any, actions: list[Action]) -> None:
        actions.append(Start(call))

    def _leave_line(self, call: IncomingCall, data: Any, actions: list[Action]) -> None:
        self.slots.leave(call)

    def _notice(self, call: IncomingCall, data: Any, actions: list[Action]) -> None:
        actions.append(Say(call, Notice(call.id, NOTICE_CANCELLING, self.worker)))

    def _interrupt(self, call: IncomingCall, data: Any, actions: list[Action]) -> None:
        actions.append(Interrupt(call, call.cancel_message))

    def _mark_recalled(self, call: IncomingCall, data: Any, actions: list[Action]) -> None:
        call.recalled = True

    def _answer_cancelled(self, call: IncomingCall, data: Any, actions: list[Action]) -> None:
        actions.append(Answer(call, Cancelled(call.id, call.cancel_message)))

    def _answer_nothing(self, call: IncomingCall, data: Any, actions: list[Action]) -> None:
        actions.append(Answer(call, None))

    def _hand_back(self, call: IncomingCall, data: Any, actions: list[Action]) -> None:
        actions.append(HandBack(call))

    def _answer(self, call: IncomingCall, data: Any, actions: list[Action]) -> None:
        actions.append(HandBack(call) if call.recalled else Answer(call, data))


_Step = Callable[[Callee, IncomingCall, Any, list[Action]], None]

_STEPS: dict[str, _Step] = {
    step: getattr(Callee, f"_{step}") for _, steps in CALLEE.values() for step in steps
}
