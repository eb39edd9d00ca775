"""The callee's machine: every call that was delivered to this worker, until it is settled."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from .actions import (
    Action,
    Answer,
    AnswerAgain,
    Bury,
    FreeSlot,
    HandBack,
    Interrupt,
    Look,
    Say,
    SayTo,
    Start,
    Widen,
)
from .calls import CalleeTimes, IncomingCall
from .envelopes import (
    ALIVE,
    HANDED_BACK,
    WHY_LAST,
    WHY_LOST,
    WHY_STALE,
    WHY_TWICE,
    Ask,
    Cancel,
    Cancelled,
    Envelope,
    Notice,
    Refusal,
    Tell,
    Who,
)
from .envelopes import CANCELLING as NOTICE_CANCELLING
from .pieces import Body
from .slots import ALONE, NESTED, ROOT, Slots
from .tables import (
    ANSWERED,
    ASK_AGAIN,
    ASKING,
    AWAY,
    BODY_ENDED,
    CALLEE,
    CANCEL,
    CANCELLING,
    CONFIRMING,
    DEADLINE,
    ENDED,
    FORBIDDEN,
    GO,
    GONE,
    LAST_SLOT,
    LISTENING,
    RECALL,
    RUNNING,
    SILENCE,
    SLOT,
    STALE,
    UNLINKED,
    VERDICTS,
    WAITING,
)
from .timers import MANY, Timers

__all__ = ["CALLEE", "Callee", "CalleeTimes", "IncomingCall"]

# Bounds of what is remembered of the past: enough for every call that can be under way between
# a worker and its callers, and a known amount of memory.
REMEMBERED_CANCELS = 10_000
REMEMBERED_ANSWERS = 10_000
REMEMBERED_ANSWER_BYTES = 16 * 1024 * 1024


class Callee:
    """
    The table of delivered calls, and the slots they run in.

    Args:
        worker: Name of this worker, for notices.
        concurrency: How many calls may run at once.
        address: Where callers reach this worker; without one, no caller can be asked anything.
        times: Its patience.

    Attributes:
        slots: Who runs, and who waits for it.
        calls: The table, by identity.
        timers: When it wants to be told the time.
    """

    def __init__(
        self,
        worker: str,
        concurrency: int,
        address: str | None = None,
        times: CalleeTimes | None = None,
    ) -> None:
        self.worker = worker
        self.address = address
        self.times = times or CalleeTimes()
        self.slots = Slots(concurrency)
        self.calls: dict[str, IncomingCall] = {}
        self.timers: Timers[IncomingCall] = Timers()
        self._cancelled: OrderedDict[str, str | None] = OrderedDict()
        self._answers: OrderedDict[str, Body] = OrderedDict()
        self._answer_bytes = 0

    # -- what callers send ---------------------------------------------------------------------

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
        ttl_ms = call.request.ttl_ms
        if ttl_ms is not None and ttl_ms <= 0:
            return [Answer(call, None)]
        self.calls[call.id] = call
        if ttl_ms is not None:
            call.deadline = now + ttl_ms / 1000
            self.timers.add(call.deadline, DEADLINE, call)
        actions: list[Action] = []
        if self.address is not None and (call.lost or call.stale or call.request.sent > 1):
            call.state = ASKING
            if call.away:
                self._stop_counting(call, now, None, actions)
            self._ask(call, now, None, actions)
        else:
            self._line_up(call, now, None, actions)
        return actions

    def cancel(self, cancel: Cancel, now: float) -> list[Action]:
        """A caller cancelled a call."""
        call = self.calls.get(cancel.id)
        if call is None:
            self._remember_cancel(cancel)
            return []
        call.cancel_message = cancel.message
        return self._happen(call, DEADLINE if cancel.reason == "deadline" else CANCEL, now)

    def tell(self, tell: Tell, now: float) -> list[Action]:
        """A caller says what is to become of a call."""
        call = self.calls.get(tell.id)
        if call is None or tell.verdict not in VERDICTS:
            return []
        if call.state in (ASKING, CONFIRMING):
            call.silence_at = None
        if call.state is ASKING:
            call.attempt = max(1, tell.attempt)
            call.alone = bool(tell.alone)
        return self._happen(call, tell.verdict, now)

    def looked(self, call: IncomingCall, listening: bool, now: float) -> list[Action]:
        """The transport knows whether the caller of a call, which is silent, has its link."""
        if call.state is not ASKING or call.silence_at is None:
            return []  # it has answered since
        return self._happen(call, LISTENING if listening else AWAY, now)

    def who(self, who: Who, now: float) -> list[Action]:
        """A caller asks whether this worker has a call."""
        call = self.calls.get(who.id)
        if call is not None:
            if call.state in (ASKING, CONFIRMING):
                return []
            return [Say(call, Notice(call.id, ALIVE, self.worker))]
        answer = self._answers.get(who.id)
        return [] if answer is None else [SayTo(who.origin, who.id, answer)]

    def has(self, id: str) -> bool:
        """Return True if the call is in the table, or ended here a moment ago."""
        return id in self.calls or id in self._answers

    def gone(self, id: str, now: float) -> list[Action]:
        """The caller of a call is gone for good."""
        call = self.calls.get(id)
        return [] if call is None else self._happen(call, GONE, now)

    # -- what happens in the worker ------------------------------------------------------------

    def granted(self, call: IncomingCall, now: float) -> list[Action]:
        """A slot became free, and the call has it."""
        last = call.alone and self.address is not None
        return self._happen(call, LAST_SLOT if last else SLOT, now)

    def body_ended(self, call: IncomingCall, now: float) -> list[Action]:
        """The body returned or raised; from now on the call cannot be cancelled."""
        return self._happen(call, BODY_ENDED, now)

    def answered(self, call: IncomingCall, envelope: Envelope, now: float) -> list[Action]:
        """The answer is ready to be sent."""
        return self._happen(call, ANSWERED, now, envelope)

    def sent(self, call: IncomingCall, body: Body) -> None:
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
            if call.state in (ASKING, WAITING, CONFIRMING) or not waiting_only:
                actions += self._happen(call, RECALL, now)
        return actions

    def unlinked(self, now: float) -> list[Action]:
        """The link is lost: what has not begun is with the broker again, and comes back."""
        actions: list[Action] = []
        for call in list(self.calls.values()):
            if call.state in (ASKING, WAITING, CONFIRMING):
                actions += self._happen(call, UNLINKED, now)
        return actions

    def sweep(self, now: float) -> list[Action]:
        """Let calls that run long say that they are alive; call it about every second."""
        actions: list[Action] = []
        for call in self.calls.values():
            if call.state in (RUNNING, CANCELLING, WAITING) and now >= call.beat_at:
                call.beat_at = now + self.times.beat
                actions.append(Say(call, Notice(call.id, ALIVE, self.worker)))
        return actions

    def tick(self, now: float) -> list[Action]:
        """Tell the time; call it at :meth:`next_tick`."""
        actions: list[Action] = []
        for reason, call in self.timers.due(now):
            if reason is SILENCE and (call.silence_at is None or call.silence_at > now):
                continue  # the caller has answered since
            if call.state is not ENDED:
                actions += self._happen(call, reason, now)
        return actions

    def next_tick(self) -> float | None:
        """Return when to call :meth:`tick`, or ``None``."""
        return self.timers.next()

    def _remember_cancel(self, cancel: Cancel) -> None:
        if cancel.id in self._answers:
            return
        self._cancelled[cancel.id] = cancel.message
        if len(self._cancelled) > REMEMBERED_CANCELS:
            self._cancelled.popitem(last=False)

    def _happen(self, call: IncomingCall, event: str, now: float, data: Any = None) -> list[Action]:
        if event in STALE and call.state not in (ASKING, CONFIRMING):
            return []
        call.state, steps = CALLEE[call.state, event]
        actions: list[Action] = []
        if call.state is ENDED:
            del self.calls[call.id]
            if len(self.timers.moments) > MANY:
                self.timers.compact(self.calls)
        if call.uncounted and call.state is not ASKING:
            call.uncounted = False
            actions.append(Widen(call, -1))
        for step in steps:
            _STEPS[step](self, call, now, data, actions)
        return actions

    # -- steps: asking -------------------------------------------------------------------------

    def _ask(self, call: IncomingCall, now: float, data: Any, actions: list[Action]) -> None:
        assert self.address is not None
        why = WHY_LOST if call.lost else WHY_TWICE if call.request.sent > 1 else WHY_STALE
        if call.state is CONFIRMING:
            why = WHY_LAST
        actions.append(Say(call, Ask(call.id, self.address, self.worker, why)))
        call.silence_at = now + self.times.silence
        self.timers.add(call.silence_at, SILENCE, call)

    def _ask_later(self, call: IncomingCall, now: float, data: Any, actions: list[Action]) -> None:
        self.timers.add(now + self.times.stand_by, ASK_AGAIN, call)

    def _look(self, call: IncomingCall, now: float, data: Any, actions: list[Action]) -> None:
        actions.append(Look(call))

    def _stop_counting(
        self, call: IncomingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        # Others behind it in the queue, nested calls of a root that runs, must not wait for it.
        if not call.uncounted:
            call.uncounted = True
            actions.append(Widen(call, +1))

    def _ask_much_later(
        self, call: IncomingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        call.ask_pause = min(2 * call.ask_pause or self.times.stand_by, self.times.longest_pause)
        self.timers.add(now + call.ask_pause, ASK_AGAIN, call)

    def _presume(self, call: IncomingCall, now: float, data: Any, actions: list[Action]) -> None:
        # A caller that exists and does not answer counts as waiting; but what must not run twice,
        # or what a stranger may have sent, does not run on a presumption.
        may_run = call.request.rerun or not call.lost
        event = AWAY if call.doubted else GO
        actions += self._happen(call, event if may_run else FORBIDDEN, now)

    def _bury(self, call: IncomingCall, now: float, data: Any, actions: list[Action]) -> None:
        actions.append(Bury(call, f"lost with its worker {call.attempt} times"))

    # -- steps: running ------------------------------------------------------------------------

    def _line_up(self, call: IncomingCall, now: float, data: Any, actions: list[Action]) -> None:
        call.state = WAITING
        call.beat_at = now + self.times.first_beat
        precedence = NESTED if call.nested else ROOT
        if self.slots.take(call, ALONE if call.alone else precedence):
            actions += self.granted(call, now)

    def _free_slot(self, call: IncomingCall, now: float, data: Any, actions: list[Action]) -> None:
        actions.append(FreeSlot(call))

    def _start(self, call: IncomingCall, now: float, data: Any, actions: list[Action]) -> None:
        actions.append(Start(call))

    def _leave_line(self, call: IncomingCall, now: float, data: Any, actions: list[Action]) -> None:
        for other in self.slots.leave(call):
            assert isinstance(other, IncomingCall)
            actions += self.granted(other, now)

    def _notice(self, call: IncomingCall, now: float, data: Any, actions: list[Action]) -> None:
        actions.append(Say(call, Notice(call.id, NOTICE_CANCELLING, self.worker)))

    def _interrupt(self, call: IncomingCall, now: float, data: Any, actions: list[Action]) -> None:
        actions.append(Interrupt(call, call.cancel_message))

    def _interrupt_again(
        self, call: IncomingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        if call.spared:
            # The caller's own clock has rung, too: one deadline must not interrupt the clean-up.
            call.spared = False
        else:
            self._interrupt(call, now, data, actions)

    def _mark_expired(
        self, call: IncomingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        call.expired = call.spared = True

    def _mark_recalled(
        self, call: IncomingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        call.recalled = True

    def _mark_orphaned(
        self, call: IncomingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        call.orphaned = True

    # -- steps: ending -------------------------------------------------------------------------

    def _answer_cancelled(
        self, call: IncomingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        actions.append(Answer(call, Cancelled(call.id, call.cancel_message)))

    def _answer_nothing(
        self, call: IncomingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        actions.append(Answer(call, None))

    def _hand_back(self, call: IncomingCall, now: float, data: Any, actions: list[Action]) -> None:
        # The caller hears first: going back in good order is no lost attempt.
        actions.append(Say(call, Notice(call.id, HANDED_BACK, self.worker)))
        actions.append(HandBack(call))

    def _answer(self, call: IncomingCall, now: float, data: Any, actions: list[Action]) -> None:
        if not call.recalled and not call.orphaned:
            actions.append(Answer(call, data))
        elif not call.request.rerun:
            self._answer_lost(call, now, data, actions)
        elif call.recalled:
            self._hand_back(call, now, data, actions)
        else:
            # Nobody cancelled it: should its caller come back and ask again, it runs again.
            self._answer_nothing(call, now, data, actions)

    def _answer_lost(
        self, call: IncomingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        error = Refusal(call.id, "WorkerLostError", [call.request.task, call.attempt])
        actions.append(Answer(call, error))


_Step = Callable[[Callee, IncomingCall, float, Any, list[Action]], None]

_STEPS: dict[str, _Step] = {
    step: getattr(Callee, f"_{step}") for _, steps in CALLEE.values() for step in steps
}
