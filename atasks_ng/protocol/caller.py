"""The caller's machine: every call that this process awaits, from the request to its end."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..words.errors import DeadlineError, NoWorkerError, WorkerLostError
from .actions import (
    Action,
    Deliver,
    End,
    Send,
    SendCancel,
    SendPull,
    SendTell,
    SendWho,
    Warn,
)
from .calls import CallerTimes, OutgoingCall
from .envelopes import (
    ALIVE,
    HANDED_BACK,
    WHY_LAST,
    WHY_LOST,
    WHY_STALE,
    WHY_TWICE,
    Ask,
    Envelope,
    Failure,
    Item,
    Notice,
    Pull,
    Tell,
    Value,
)
from .envelopes import CANCELLING as NOTICE_CANCELLING
from .streams import AGAIN
from .tables import (
    ABANDON,
    ASK,
    ASKED,
    CALLER,
    CANCEL,
    CANCELLING,
    CONDEMNED,
    DEADLINE,
    ENDED,
    GO,
    ITEM,
    LOST,
    NOTICE,
    OPEN,
    OVERDUE,
    QUIET,
    RELINKED,
    REPLY,
    RESEND,
    RESTARTED,
    RETURNED,
    SETTLED,
    STAND_BY,
    UNHELD,
    UNLINKED,
    UNSERVED,
)
from .timers import MANY, Timers

__all__ = ["CALLER", "Caller", "CallerTimes", "OutgoingCall"]


# Cancels that are sent again when the link comes back: as many as calls are in flight by default,
# and not for ever. Those that were sent while the link seemed good are kept for as long as it may
# take to notice that it was not.
_REMEMBERED = 10_000
_REMEMBERED_SECONDS = 60.0
_REMEMBERED_SECONDS_LINKED = 10.0

# A stream of which nothing was heard, though all were asked, is lost after this share of the time
# after which they are asked.
_MISSED = 1 / 3


class Caller:
    """
    The table of awaited calls.

    Args:
        times: Its patience.

    Attributes:
        calls: The table, by identity.
        timers: When it wants to be told the time.
    """

    def __init__(self, times: CallerTimes | None = None) -> None:
        self.times = times or CallerTimes()
        self.calls: dict[str, OutgoingCall] = {}
        self.timers: Timers[OutgoingCall] = Timers()
        self._linked = True
        self._linked_at = -math.inf
        self._left: OrderedDict[str, tuple[float, OutgoingCall]] = OrderedDict()

    def open(self, call: OutgoingCall, now: float) -> None:
        """Enter a call into the table; its request is about to be sent."""
        self.calls[call.id] = call
        call.heard_at = now
        if not self._linked:
            # It does not leave before the link is back, and is sent then.
            call.sent = 0
        if call.deadline is not None:
            self.timers.add(call.deadline, DEADLINE, call)

    def receive(self, envelope: Envelope, now: float) -> list[Action]:
        """Take an envelope from a worker; an empty list means that it was of no use."""
        call = self.calls.get(envelope.id)
        if call is None:
            if type(envelope) is Ask:
                return [SendTell(envelope.origin, Tell(envelope.id, SETTLED, 0, 0))]
            return []
        call.complaint = None
        if type(envelope) is Item:
            return self._receive_item(call, envelope, now)
        if type(envelope) is Notice:
            return self._happen(call, NOTICE, now, envelope)
        return self._happen(call, ASKED if type(envelope) is Ask else REPLY, now, envelope)

    def complained(self, id: str, error: BaseException, now: float) -> None:
        """
        Somebody who cannot sign says to have refused a call.

        Anybody may say so, and the call goes on waiting. It ends with the error if no worker says
        anything else about it for the time in which it may find none.
        """
        call = self.calls.get(id)
        if call is not None and call.complaint is None:
            call.complaint = (now, error)

    def ask(self, call: OutgoingCall, pull: Pull, now: float) -> list[Action]:
        """The consumer of a stream wants the next item, or has something to send in."""
        return self._happen(call, ASK, now, pull)

    def cancel(self, call: OutgoingCall, message: str | None, now: float) -> list[Action]:
        """The task that awaits the call was cancelled."""
        if call.state is ENDED:
            return []
        call.cancel_message = message
        actions = self._happen(call, CANCEL, now)
        return actions if self._linked else actions + self._happen(call, UNLINKED, now)

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

    def unlinked(self, now: float) -> list[Action]:
        """The link is lost: calls go on waiting, unless they only waited for a clean-up."""
        self._linked = False
        actions: list[Action] = []
        for call in list(self.calls.values()):
            if call.state is CANCELLING:
                actions += self._happen(call, UNLINKED, now)
        return actions

    def relinked(self, now: float) -> list[Action]:
        """The link is back: what was under way may be lost, so everything is sent again."""
        actions = self.unlinked(now)  # a transport may say only that it is there again
        self._linked = True
        self._linked_at = now
        for call in self.calls.values():
            # Whoever was asked before may have answered in vain.
            call.sought_at = -math.inf
        for when, call in self._left.values():
            if now - when < _REMEMBERED_SECONDS:
                actions.append(SendCancel(call, "cancel"))
        return actions + self._for_all(RELINKED, now)

    def close(self, error: BaseException, now: float) -> list[Action]:
        """The transport is about to go for good: every call ends, on both sides."""
        actions: list[Action] = [SendCancel(call, "cancel") for call in self.calls.values()]
        return actions + self._for_all(LOST, now, error)

    def sweep(self, now: float) -> list[Action]:
        """Send again what nobody has said anything about for long; call it every few seconds."""
        actions: list[Action] = []
        for call in list(self.calls.values()):
            patience = self.times.overdue * (_MISSED if call.missed else 2 ** (call.sent - 1))
            if call.complaint is not None and now - call.complaint[0] >= self.times.worker_grace:
                actions += self._happen(call, LOST, now, call.complaint[1])
            elif call.state is OPEN and now - call.heard_at >= patience and self._linked:
                call.heard_at = now
                actions += self._happen(call, OVERDUE, now)
        return actions

    def unheard(self, now: float) -> set[str]:
        """Return the queues of calls of which no worker says, or still says, that it has them."""
        # The pause of a try: what was sent a moment ago is under way.
        before = now - self.times.retry_every
        return {
            call.queue
            for call in self.calls.values()
            if call.state is OPEN
            and (call.heard_at <= before if call.holder is None else self._is_missed(call, now))
        }

    def _is_missed(self, call: OutgoingCall, now: float) -> bool:
        """Return True if the worker that has a call should have said so again."""
        return now - call.held_at >= self.times.overdue

    def served(self, queue: str, is_served: bool, now: float) -> list[Action]:
        """The transport has looked whether anybody serves a queue."""
        actions: list[Action] = []
        for call in list(self.calls.values()):
            if call.queue != queue or call.state is not OPEN:
                continue
            if is_served:
                call.unserved_since = None
            elif call.holder is None:
                actions += self._happen(call, UNSERVED, now)
            elif self._is_missed(call, now) and not call.warned:
                # It may have run: it waits for another worker for as long as its caller does.
                call.warned = True
                actions.append(Warn(call, now - call.held_at))
        return actions

    def tick(self, now: float) -> list[Action]:
        """Tell the time; call it at :meth:`next_tick`."""
        actions: list[Action] = []
        for reason, call in self.timers.due(now):
            if call.state is ENDED or (reason is QUIET and not call.is_quiet(now)):
                continue
            if reason is UNHELD and call.asker is None:
                continue  # somebody had it after all
            actions += self._happen(call, reason, now)
        return actions

    def next_tick(self) -> float | None:
        """Return when to call :meth:`tick`, or ``None``."""
        return self.timers.next()

    def _receive_item(self, call: OutgoingCall, item: Item, now: float) -> list[Action]:
        consumer = call.consumer
        if consumer is None:
            return []
        call.heard_at = now
        call.missed = False
        if consumer.is_of_another_run(item):
            return self._happen(call, RESTARTED, now)
        if call.state is CANCELLING and not call.noticed:
            return []  # it crossed the cancel, which ends the generator where it stands
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
            if len(self.timers.moments) > MANY:
                self.timers.compact(self.calls)
            if event is not REPLY:
                self._remember_left(call, now)
        actions: list[Action] = []
        for step in steps:
            _STEPS[step](self, call, now, data, actions)
        if call.state is ENDED and call.asker is not None:
            self._tell(call, call.asker, SETTLED, actions)
        return actions

    def _remember_left(self, call: OutgoingCall, now: float) -> None:
        """Keep a call that ended without an answer: its cancel may be lost with the link."""
        if call.message is not None:
            # It may be large. The rest of the message stays: a consumer may still take items.
            call.message.body = b""
        self._left[call.id] = (now, call)
        seconds = _REMEMBERED_SECONDS_LINKED if self._linked else _REMEMBERED_SECONDS
        oldest = now - seconds
        while len(self._left) > _REMEMBERED or next(iter(self._left.values()))[0] < oldest:
            self._left.popitem(last=False)

    # -- steps: sending ------------------------------------------------------------------------

    def _send(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        call.sent += 1
        actions.append(Send(call))

    def _send_again(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        if call.consumer is None or not call.consumer.received:
            self._send(call, now, data, actions)
            return
        actions.append(SendPull(call, call.consumer.pull(call.id, AGAIN)))
        if call.consumer.last_pull is not None:
            actions.append(SendPull(call, call.consumer.last_pull))
        # A generator that has ended hears no pull; its worker still has the answer.
        actions.append(SendWho(call))

    def _miss(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        """Nothing was heard for long: send it again; what was read in part cannot begin anew."""
        if call.consumer is not None and call.consumer.received:
            if call.missed:
                actions += self._happen(call, RESTARTED, now)
                return
            call.missed = True
        self._send_again(call, now, data, actions)

    def _send_pull(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        actions.append(SendPull(call, data))

    def _send_cancel(
        self, call: OutgoingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        actions.append(SendCancel(call, "cancel"))

    def _send_expiry(
        self, call: OutgoingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        actions.append(SendCancel(call, "deadline"))

    def _try_later(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        self._miss_worker(call, now, data, actions)
        if call.state is ENDED or call.unserved_since is None:
            return
        # It reached no queue: that sending does not count.
        call.sent -= 1
        left = call.unserved_since + self.times.worker_grace - now
        self.timers.add(now + min(self.times.retry_every, left), RESEND, call)

    def _miss_worker(
        self, call: OutgoingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        if call.unserved_since is None:
            call.unserved_since = now
        if now - call.unserved_since >= self.times.worker_grace:
            error = NoWorkerError(call.task, call.queue, self.times.worker_grace, call.namespace)
            actions += self._happen(call, LOST, now, error)
        elif now - call.heard_at >= self.times.warn_after and not call.warned:
            call.warned = True
            actions.append(Warn(call, now - call.heard_at))

    # -- steps: a worker was lost --------------------------------------------------------------

    def _note_holder(
        self, call: OutgoingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        notice: Notice = data
        call.heard_at = now
        call.missed = False
        if notice.what == HANDED_BACK:
            call.handed_back = True
        if notice.what != ALIVE:
            return
        call.held_at = now
        call.warned = False
        if call.holder is None:
            call.holder = notice.worker
        elif notice.worker != call.holder and call.attempt > 1:
            # A worker that was taken for dead is not: that attempt was no loss.
            call.attempt -= 1
        if call.asker is not None:
            self._tell(call, call.asker, STAND_BY, actions)
            call.asker = None

    def _seek_holder(
        self, call: OutgoingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        ask: Ask = data
        call.heard_at = now
        if ask.why == WHY_LAST:
            # Once this is sent, the loss of the worker is the call's own doing.
            call.convicts = True
            self._tell(call, ask, GO, actions, alone=True)
            return
        is_first = call.holder is None or call.holder == ask.worker
        if ask.why == WHY_STALE and call.sent == 1 and call.asker is None and is_first:
            # Sent once, delivered once: nobody else can have it, unless a stranger sent it again.
            call.holder, call.held_at = ask.worker, now
            self._tell(call, ask, GO, actions)
            return
        if call.asker is not None and call.asker.origin != ask.origin:
            # One at a time; the other one asks again.
            self._tell(call, ask, STAND_BY, actions)
            return
        if ask.why != WHY_TWICE or not self._is_sought(call, now):
            actions += self._seek(call, ask, now)
        if call.held_at > call.sought_at:
            self._tell(call, ask, STAND_BY, actions)
            return
        call.asker = ask
        # What was sent again when the link came back goes before the question.
        granted_at = max(call.sought_at, self._linked_at + self.times.holder) + self.times.holder
        if granted_at <= now:
            actions += self._happen(call, UNHELD, now)
        else:
            self.timers.add(granted_at, UNHELD, call)

    def _seek(self, call: OutgoingCall, ask: Ask, now: float) -> list[Action]:
        """
        Ask all workers whether they have a call.

        What was sent twice comes in thousands, after the link was lost, and not more of it at a
        time than workers have room for; so all of it is asked about at once. A queue brings what
        was sent before first: when the first second copy is there, every first one is, with some
        worker that says so, or is lost.
        """
        sought = [call]
        if ask.why == WHY_TWICE:
            sought += [
                other
                for other in self.calls.values()
                if other is not call
                and other.sent > 1
                and (other.queue, other.nested) == (call.queue, call.nested)
                and not self._is_sought(other, now)
            ]
        for each in sought:
            each.sought_at = now
        return [SendWho(each) for each in sought]

    def _is_sought(self, call: OutgoingCall, now: float) -> bool:
        return now - call.sought_at < self.times.sought

    def _grant(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        assert call.asker is not None
        asker, call.asker = call.asker, None
        if call.consumer is not None and call.consumer.received:
            self._tell(call, asker, SETTLED, actions)
            # That there is a second copy says nothing about who sends the items of the first one.
            if asker.why != WHY_TWICE:
                actions += self._happen(call, RESTARTED, now)
            return
        if asker.why == WHY_STALE and not call.rerun and call.holder not in (None, asker.worker):
            # Another worker was let run it, and nothing says that it is lost: a copy.
            self._tell(call, asker, STAND_BY, actions)
            return
        if asker.why == WHY_TWICE and not call.rerun and not call.handed_back:
            # Whoever got the first copy does not say so: it may have run, and must not yet begin.
            actions.append(SendCancel(call, "cancel"))
            self._lose(call, asker, SETTLED, now, actions)
            return
        if asker.why == WHY_LOST and not call.handed_back:
            if not call.rerun or call.convicts or call.max_attempts == 1:
                # Only who ran alone is known to have done it.
                verdict = CONDEMNED if call.rerun and call.convicts else SETTLED
                self._lose(call, asker, verdict, now, actions)
                return
            call.attempt = min(call.attempt + 1, call.max_attempts)
        call.handed_back = False
        call.granted = True
        call.holder, call.held_at = asker.worker, now
        # The last attempt convicts, so nobody else may be running who could be the culprit.
        alone = call.attempt >= call.max_attempts
        self._tell(call, asker, GO, actions, alone=alone)

    def _lose(
        self, call: OutgoingCall, asker: Ask, verdict: str, now: float, actions: list[Action]
    ) -> None:
        self._tell(call, asker, verdict, actions)
        actions += self._happen(call, LOST, now, WorkerLostError(call.task, call.attempt))

    def _tell_settled(
        self, call: OutgoingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        ask = data if type(data) is Ask else call.asker
        if ask is not None:
            self._tell(call, ask, SETTLED, actions)

    @staticmethod
    def _tell(
        call: OutgoingCall, ask: Ask, verdict: str, actions: list[Action], *, alone: bool = False
    ) -> None:
        actions.append(SendTell(ask.origin, Tell(call.id, verdict, call.attempt, int(alone))))

    # -- steps: waiting and ending -------------------------------------------------------------

    def _await_sign(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        call.quiet_at = now + self.times.sign
        self.timers.add(call.quiet_at, QUIET, call)

    def _await_end(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        call.noticed = call.noticed or data.what == NOTICE_CANCELLING
        call.quiet_at = now + self.times.cancel_grace
        self.timers.add(call.quiet_at, QUIET, call)

    def _deliver(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        actions.append(Deliver(call, data))

    def _end(self, call: OutgoingCall, now: float, data: Any, actions: list[Action]) -> None:
        actions.append(End(call, data))

    def _recall_copies(
        self, call: OutgoingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        if call.granted:
            # Two workers may have it, and one has answered.
            actions.append(SendCancel(call, "cancel"))

    def _end_unless_crossed(
        self, call: OutgoingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        # The body ended before it could hear of the cancel: as in asyncio, where a task is
        # cancelled whose future has just got its result, the cancel must not be lost.
        is_crossed = not call.noticed and isinstance(data, (Value, Failure))
        actions.append(End(call, None if is_crossed else data))

    def _end_expired(
        self, call: OutgoingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        actions.append(End(call, DeadlineError(call.task, call.timeout or 0.0)))

    def _end_restarted(
        self, call: OutgoingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        actions.append(End(call, WorkerLostError(call.task, call.attempt)))

    def _end_cancelled(
        self, call: OutgoingCall, now: float, data: Any, actions: list[Action]
    ) -> None:
        actions.append(End(call, None))


_Step = Callable[[Caller, OutgoingCall, float, Any, list[Action]], None]

_STEPS: dict[str, _Step] = {
    step: getattr(Caller, f"_{step}") for _, steps in CALLER.values() for step in steps
}
