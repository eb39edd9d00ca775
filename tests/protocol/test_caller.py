"""The caller's machine: what follows from what, for every pair that can occur."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from atasks_ng.protocol import tables
from atasks_ng.protocol.actions import (
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
from atasks_ng.protocol.caller import CALLER, Caller, CallerTimes, OutgoingCall
from atasks_ng.protocol.envelopes import (
    ALIVE,
    CANCELLING,
    HANDED_BACK,
    WHY_LAST,
    WHY_LOST,
    WHY_STALE,
    WHY_TWICE,
    Ask,
    Cancelled,
    Envelope,
    Item,
    Notice,
    Tell,
    Value,
)
from atasks_ng.protocol.streams import NEXT, Consumer
from atasks_ng.transport.messages import Message
from atasks_ng.words import errors

STATES = [tables.OPEN, tables.PARKED, tables.CANCELLING]
EVENTS = [
    *[tables.REPLY, tables.NOTICE, tables.ITEM, tables.RESTARTED, tables.ASKED],
    *[tables.RETURNED, tables.RELINKED, tables.UNLINKED, tables.LOST],
    *[tables.CANCEL, tables.ABANDON, tables.ASK],
    *[tables.DEADLINE, tables.RESEND, tables.QUIET, tables.UNHELD, tables.OVERDUE],
    tables.UNSERVED,
]

#: Pairs that are not in the table, and why they cannot occur.
IMPOSSIBLE = {
    (tables.OPEN, tables.ASK): "the consumer waits for what it asked for",
    (tables.CANCELLING, tables.ASK): "the consumer waits for the end",
    (tables.PARKED, tables.CANCEL): "nobody waits for a parked call, so nothing is interrupted",
    (tables.OPEN, tables.UNLINKED): "only calls that wait for a clean-up hear of it",
    (tables.PARKED, tables.UNLINKED): "only calls that wait for a clean-up hear of it",
    (tables.CANCELLING, tables.RELINKED): "without a link, no call stays in that state",
    (tables.PARKED, tables.OVERDUE): "only open calls are looked at",
    (tables.CANCELLING, tables.OVERDUE): "only open calls are looked at",
    (tables.PARKED, tables.UNSERVED): "only open calls are looked at",
    (tables.CANCELLING, tables.UNSERVED): "only open calls are looked at",
}

TIMES = CallerTimes()
DEADLINE = 1000.0


class Scene:
    """One call of an async generator, and a clock; every event can happen to it."""

    def __init__(self, *, deadline: float | None = DEADLINE, stream: bool = True) -> None:
        self.now = 0.0
        self.caller = Caller(TIMES)
        self.call = OutgoingCall("id", "m:f", "default", "q", timeout=DEADLINE, deadline=deadline)
        self.call.consumer = Consumer(1) if stream else None
        self.number = 0
        self.caller.open(self.call, self.now)

    def at(self, state: str) -> Scene:
        """Bring the call into a state, as it comes there in life."""
        if state == tables.PARKED:
            self.item()
        elif state == tables.CANCELLING:
            self.cancel()
        assert self.call.state is state
        return self

    def after(self, seconds: float) -> list[Action]:
        self.now += seconds
        return self.caller.tick(self.now)

    def receive(self, envelope: Envelope) -> list[Action]:
        return self.caller.receive(envelope, self.now)

    def reply(self) -> list[Action]:
        return self.receive(Value("id", 0, None, b""))

    def notice(self, what: str = ALIVE, worker: str = "w") -> list[Action]:
        return self.receive(Notice("id", what, worker))

    def item(self, run: str = "run") -> list[Action]:
        self.number += 1
        return self.receive(Item("id", run, self.number, "address", None, b""))

    def ask_of_worker(self, why: str = WHY_LOST, worker: str = "w2") -> list[Action]:
        return self.receive(Ask("id", f"address of {worker}", worker, why))

    def pull(self) -> list[Action]:
        assert self.call.consumer is not None
        return self.caller.ask(self.call, self.call.consumer.pull("id", NEXT), self.now)

    def cancel(self, message: str | None = None) -> list[Action]:
        return self.caller.cancel(self.call, message, self.now)

    def look(self, is_served: bool) -> list[Action]:
        return self.caller.served("q", is_served, self.now)

    def returned(self) -> list[Action]:
        return self.caller.returned("id", self.now)


def kinds(actions: Iterable[Action]) -> list[type]:
    return [type(action) for action in actions]


def resend(scene: Scene, state: str) -> Callable[[], list[Action]]:
    """The request came back, and then the call went on to another state."""
    scene.returned()
    scene.at(state)
    return lambda: scene.after(TIMES.retry_every)


def quiet(scene: Scene, state: str) -> Callable[[], list[Action]]:
    """The call was cancelled, the generator swallowed that, and the time for a sign is over."""
    scene.cancel()
    if state is tables.CANCELLING:
        return lambda: scene.after(TIMES.sign)
    scene.notice(CANCELLING)
    scene.item()
    if state is tables.OPEN:
        scene.pull()
    return lambda: scene.after(TIMES.cancel_grace)


def item(scene: Scene, state: str) -> Callable[[], list[Action]]:
    """A generator that was cancelled yields in spite of it."""
    scene.at(state)
    if state is tables.CANCELLING:
        scene.notice(CANCELLING)
    return scene.item


def restarted(scene: Scene, state: str) -> Callable[[], list[Action]]:
    scene.item()
    if state is not tables.PARKED:
        scene.pull()
    if state is tables.CANCELLING:
        scene.cancel()
    return lambda: scene.item("another run")


def unheld(scene: Scene, state: str) -> Callable[[], list[Action]]:
    scene.ask_of_worker(WHY_TWICE)
    scene.at(state)
    return lambda: scene.after(TIMES.holder)


def sweep(scene: Scene) -> list[Action]:
    scene.now += TIMES.overdue
    return scene.caller.sweep(scene.now)


def simple(happen: Callable[[Scene], list[Action]]) -> Callable[[Scene, str], Any]:
    def prepare(scene: Scene, state: str) -> Callable[[], list[Action]]:
        scene.at(state)
        return lambda: happen(scene)

    return prepare


#: How each event comes about.
HAPPEN: dict[str, Callable[[Scene, str], Callable[[], list[Action]]]] = {
    tables.REPLY: simple(Scene.reply),
    tables.NOTICE: simple(Scene.notice),
    tables.ITEM: item,
    tables.RESTARTED: restarted,
    tables.ASKED: simple(Scene.ask_of_worker),
    tables.RETURNED: simple(Scene.returned),
    tables.RELINKED: simple(lambda scene: scene.caller.relinked(scene.now)),
    tables.UNLINKED: simple(lambda scene: scene.caller.unlinked(scene.now)),
    tables.LOST: simple(lambda scene: scene.caller.failed("id", OSError(), scene.now)),
    tables.CANCEL: simple(Scene.cancel),
    tables.ABANDON: simple(lambda scene: scene.caller.abandon(scene.call, scene.now)),
    tables.ASK: simple(Scene.pull),
    tables.DEADLINE: simple(lambda scene: scene.after(DEADLINE)),
    tables.RESEND: resend,
    tables.QUIET: quiet,
    tables.UNHELD: unheld,
    tables.OVERDUE: simple(sweep),
    tables.UNSERVED: simple(lambda scene: scene.look(False)),
}


# -- the table -----------------------------------------------------------------------------------


def test_every_pair_is_in_the_table_or_cannot_occur() -> None:
    pairs = {(state, event) for state in STATES for event in EVENTS}

    assert set(CALLER) | set(IMPOSSIBLE) == pairs
    assert set(CALLER).isdisjoint(IMPOSSIBLE)


@pytest.mark.parametrize(("state", "event"), CALLER, ids=map(" ".join, CALLER))
def test_pair_leads_where_the_table_says(state: str, event: str) -> None:
    if event == tables.DEADLINE and state == tables.CANCELLING:
        # The time for a sign must not be over before.
        scene = Scene(deadline=TIMES.sign / 2)
        scene.at(state)
        scene.after(TIMES.sign / 2)
    elif event == tables.UNHELD and state == tables.CANCELLING:
        scene = Scene()
        scene.ask_of_worker(WHY_TWICE)
        scene.at(state)
        scene.after(TIMES.holder)
    else:
        scene = Scene(deadline=DEADLINE if event == tables.DEADLINE else None)
        HAPPEN[event](scene, state)()

    assert scene.call.state is CALLER[state, event][0]
    assert ("id" in scene.caller.calls) is (scene.call.state is not tables.ENDED)


# -- sending and ending --------------------------------------------------------------------------


def test_reply_ends_the_call() -> None:
    scene = Scene(stream=False)

    [end] = scene.reply()

    assert isinstance(end, End)
    assert end.outcome == Value("id", 0, None, b"")


def test_second_reply_is_of_no_use() -> None:
    scene = Scene(stream=False)
    scene.reply()

    assert scene.reply() == []


def test_reply_to_an_unknown_call_is_of_no_use() -> None:
    assert Scene().receive(Value("unknown", 0, None, b"")) == []


def test_item_of_a_call_that_is_no_stream_is_of_no_use() -> None:
    assert Scene(stream=False).item() == []


def test_item_that_came_before_is_of_no_use() -> None:
    scene = Scene()
    scene.item()
    scene.number -= 1

    assert scene.item() == []


def test_items_are_delivered_one_at_a_time() -> None:
    scene = Scene()

    assert kinds(scene.item()) == [Deliver]
    assert scene.item() == []  # the consumer takes it when it comes for more


def test_deadline_tells_the_callee_and_ends_the_call() -> None:
    scene = Scene()

    cancel, end = scene.after(DEADLINE)

    assert isinstance(cancel, SendCancel)
    assert cancel.reason == "deadline"
    assert isinstance(end, End)
    assert isinstance(end.outcome, errors.DeadlineError)
    assert end.outcome.args == ("m:f", DEADLINE)


def test_next_tick_is_the_deadline() -> None:
    scene = Scene()

    assert scene.caller.next_tick() == DEADLINE
    assert scene.after(DEADLINE - 1) == []


def test_link_that_comes_back_sends_an_open_call_again() -> None:
    scene = Scene(stream=False)
    before = scene.call.sent

    assert kinds(scene.caller.relinked(scene.now)) == [Send]
    assert scene.call.sent == before + 1


def test_link_that_comes_back_asks_a_begun_stream_again() -> None:
    scene = Scene()
    scene.item()
    scene.pull()

    actions = scene.caller.relinked(scene.now)

    assert [action.pull.verb for action in actions if isinstance(action, SendPull)] == [
        "again",
        "next",
    ]


def test_call_without_a_sign_is_sent_again_less_and_less_often() -> None:
    scene = Scene(stream=False, deadline=None)
    sent = []

    for _ in range(int(TIMES.overdue) * 8):
        scene.now += 1
        if scene.caller.sweep(scene.now):
            sent.append(scene.now)

    assert sent == [TIMES.overdue, TIMES.overdue * 3, TIMES.overdue * 7]


def test_call_that_nobody_has_said_anything_about_is_unheard() -> None:
    scene = Scene(stream=False)

    scene.now = TIMES.retry_every / 2
    assert scene.caller.unheard(scene.now) == set()
    scene.now = TIMES.retry_every
    assert scene.caller.unheard(scene.now) == {"q"}
    scene.notice()
    assert scene.caller.unheard(scene.now + TIMES.overdue - 1) == set()


def test_queue_that_nobody_serves_is_told_when_the_worker_of_a_call_is_missed() -> None:
    scene = Scene(stream=False)
    scene.notice()

    scene.now = TIMES.overdue - 1
    assert scene.look(is_served=False) == []
    scene.now = TIMES.overdue
    assert scene.caller.unheard(scene.now) == {"q"}
    assert scene.look(is_served=False) == [Warn(scene.call, TIMES.overdue)]

    # Once, until it is heard again; and the call goes on waiting, since it may have run.
    scene.now = 10 * TIMES.worker_grace
    assert scene.look(is_served=False) == []
    assert scene.call.state is tables.OPEN
    scene.notice()
    scene.now += TIMES.overdue
    assert scene.look(is_served=False) == [Warn(scene.call, TIMES.overdue)]


def test_queue_that_nobody_serves_is_told_and_ends_the_call_in_the_end() -> None:
    scene = Scene(stream=False, deadline=None)
    told = []

    while scene.call.state is tables.OPEN:
        scene.now += 1
        told += [(scene.now, action) for action in scene.look(False)]

    [(warned_at, warn), (ended_at, end)] = told
    assert warn == Warn(scene.call, TIMES.warn_after)
    assert warned_at == TIMES.warn_after
    assert ended_at == TIMES.worker_grace + 1  # counted from the first look
    assert isinstance(end, End)
    assert isinstance(end.outcome, errors.NoWorkerError)


def test_worker_that_comes_begins_the_grace_anew() -> None:
    scene = Scene(stream=False, deadline=None)
    scene.look(False)
    scene.now = TIMES.worker_grace - 1
    scene.look(True)

    scene.now += TIMES.worker_grace - 1

    assert kinds(scene.look(False)) == [Warn]


def test_queue_without_workers_does_not_end_what_a_worker_has_begun() -> None:
    scene = Scene(stream=False, deadline=None)
    scene.notice()

    scene.now = 2 * TIMES.worker_grace

    assert kinds(scene.look(False)) == [Warn]
    assert scene.call.state is tables.OPEN


def test_call_that_lay_in_its_queue_may_run_at_once() -> None:
    scene = Scene(stream=False)

    [told] = scene.ask_of_worker(WHY_STALE)

    assert isinstance(told, SendTell)
    assert told.tell == Tell("id", tables.GO, 1, 0)


def test_call_that_was_sent_twice_is_searched_though_it_lay_in_its_queue() -> None:
    scene = Scene(stream=False)
    scene.caller.relinked(scene.now)

    assert kinds(scene.ask_of_worker(WHY_STALE)) == [SendWho]


def test_call_that_one_worker_was_let_run_is_searched_when_another_asks() -> None:
    scene = Scene(stream=False)
    scene.ask_of_worker(WHY_STALE, "w1")

    assert kinds(scene.ask_of_worker(WHY_STALE, "w2")) == [SendWho]

    [told] = scene.notice(worker="w1")
    assert isinstance(told, SendTell)
    assert told.origin == "address of w2"
    assert told.tell.verdict == tables.STAND_BY


@pytest.mark.parametrize(("rerun", "verdict"), [(True, tables.GO), (False, tables.STAND_BY)])
def test_copy_of_a_call_whose_worker_is_silent_runs_only_if_it_may_run_twice(
    rerun: bool, verdict: str
) -> None:
    scene = Scene(stream=False)
    scene.call.rerun = rerun
    scene.ask_of_worker(WHY_STALE, "w1")
    scene.ask_of_worker(WHY_STALE, "w2")

    [told] = scene.after(TIMES.holder)

    assert isinstance(told, SendTell)
    assert (told.origin, told.tell.verdict) == ("address of w2", verdict)
    # Two may run it now: whoever has not answered need not go on.
    assert kinds(scene.reply()) == ([End, SendCancel] if rerun else [End])


def test_second_copy_of_a_generator_that_is_read_is_dropped_and_the_first_one_goes_on() -> None:
    scene = Scene()
    scene.caller.relinked(scene.now)
    scene.ask_of_worker(WHY_TWICE)
    scene.item()

    (told,) = scene.after(2 * TIMES.holder)

    assert isinstance(told, SendTell)
    assert told.tell.verdict == tables.SETTLED
    scene.pull()
    assert kinds(scene.item()) == [Deliver]


def test_generator_that_is_read_is_not_run_again_when_its_worker_is_lost() -> None:
    scene = Scene()
    scene.item()
    scene.ask_of_worker(WHY_LOST)

    told, cancel, end = scene.after(2 * TIMES.holder)

    assert isinstance(told, SendTell)
    assert told.tell.verdict == tables.SETTLED
    assert isinstance(cancel, SendCancel)
    assert isinstance(end, End)
    assert isinstance(end.outcome, errors.WorkerLostError)


def test_copy_of_a_call_that_must_not_run_twice_ends_it_when_nobody_has_the_first() -> None:
    scene = Scene(stream=False)
    scene.call.rerun = False
    scene.caller.relinked(scene.now)
    scene.ask_of_worker(WHY_TWICE)

    # What was sent again with it goes before the question.
    assert scene.after(TIMES.holder) == []
    cancel, told, end = scene.after(TIMES.holder)

    assert isinstance(cancel, SendCancel)  # nobody must begin the first one later
    assert isinstance(told, SendTell)
    assert told.tell.verdict == tables.SETTLED
    assert isinstance(end, End)
    assert isinstance(end.outcome, errors.WorkerLostError)


def test_request_that_could_not_leave_is_no_copy_when_it_is_sent() -> None:
    scene = Scene(stream=False)
    scene.caller.unlinked(scene.now)
    call = OutgoingCall("other", "m:f", "default", "q", rerun=False)
    scene.caller.open(call, scene.now)

    # However long that lasts.
    scene.now = 10 * TIMES.overdue
    assert scene.caller.sweep(scene.now) == []
    sent = scene.caller.relinked(scene.now)

    assert Send(call) in sent
    assert call.sent == 1


def test_who_was_asked_before_the_link_was_lost_is_asked_again() -> None:
    scene = Scene(stream=False)
    scene.caller.relinked(scene.now)
    assert kinds(scene.ask_of_worker(WHY_TWICE, "w1")) == [SendWho]
    scene.now += TIMES.holder / 2
    scene.caller.unlinked(scene.now)
    scene.caller.relinked(scene.now)

    assert kinds(scene.ask_of_worker(WHY_TWICE, "w1")) == [SendWho]


def test_call_that_may_be_lost_with_one_worker_runs_on_no_other() -> None:
    scene = Scene(stream=False)
    scene.call.max_attempts = 1
    scene.ask_of_worker(WHY_LOST)

    told, end = scene.after(TIMES.holder)

    # Settled, not condemned: it did not run alone, so nobody knows that it was the cause.
    assert isinstance(told, SendTell)
    assert told.tell.verdict == tables.SETTLED
    assert isinstance(end, End)
    assert isinstance(end.outcome, errors.WorkerLostError)


def test_cancels_of_an_outage_are_sent_when_the_link_is_back_however_many() -> None:
    caller = Caller(TIMES)
    calls = [OutgoingCall(str(number), "m:f", "default", "q") for number in range(5000)]
    for call in calls:
        caller.open(call, 0.0)
    caller.unlinked(1.0)
    for call in calls:
        caller.cancel(call, None, 2.0)

    sent = caller.relinked(5.0)

    assert [action.call for action in sent if isinstance(action, SendCancel)] == calls


def test_call_that_is_kept_for_its_cancel_keeps_no_arguments() -> None:
    scene = Scene(stream=False)
    scene.call.message = Message("root", "q", "id", b"large", "m:f")

    scene.caller.abandon(scene.call, scene.now)

    # Whoever still has the call finds its message, but not what may be large.
    assert scene.call.message == Message("root", "q", "id", b"", "m:f")


def test_cancels_that_reached_the_broker_are_forgotten_soon() -> None:
    caller = Caller(TIMES)
    for number in range(100):
        call = OutgoingCall(str(number), "m:f", "default", "q")
        caller.open(call, number)
        caller.abandon(call, number)

    sent = caller.relinked(100.0)

    assert len(sent) < 15


# -- streams whose worker is gone --------------------------------------------------------------


def test_stream_that_was_read_in_part_is_asked_for_when_the_link_is_back() -> None:
    scene = Scene(deadline=None)
    scene.item()
    scene.pull()

    # Its worker may have ended it, and hears no pull then, but still has the answer.
    assert kinds(scene.caller.relinked(scene.now)) == [SendPull, SendPull, SendWho]


def test_stream_that_was_read_in_part_ends_when_nobody_has_it_any_more() -> None:
    scene = Scene(deadline=None)
    scene.item()
    scene.pull()

    scene.now = TIMES.overdue
    assert SendWho(scene.call) in scene.caller.sweep(scene.now)
    scene.now += TIMES.overdue / 3 - 1
    assert scene.caller.sweep(scene.now) == []
    scene.now += 1
    [_, end] = scene.caller.sweep(scene.now)

    assert isinstance(end, End)
    assert isinstance(end.outcome, errors.WorkerLostError)


def test_stream_whose_worker_says_that_it_lives_goes_on() -> None:
    scene = Scene(deadline=None)
    scene.item()
    scene.pull()

    for _ in range(10):
        scene.now += TIMES.overdue
        assert SendWho(scene.call) in scene.caller.sweep(scene.now)
        scene.notice()

    assert scene.call.state is tables.OPEN


# -- complaints that nobody has signed ---------------------------------------------------------


def test_complaint_ends_a_call_of_which_nothing_else_is_heard() -> None:
    scene = Scene(stream=False, deadline=None)
    error = errors.SignatureError("default", "no key")
    scene.caller.complained("id", error, scene.now)
    scene.caller.complained("unknown", error, scene.now)

    scene.now = TIMES.worker_grace / 2
    scene.caller.complained("id", errors.SignatureError("default", "again"), scene.now)
    assert scene.caller.sweep(scene.now) == []

    scene.now = TIMES.worker_grace
    [end] = scene.caller.sweep(scene.now)
    assert isinstance(end, End)
    assert end.outcome is error


def test_complaint_does_not_count_once_a_worker_is_heard() -> None:
    scene = Scene(stream=False, deadline=None)
    scene.caller.complained("id", errors.SignatureError("default", "a lie"), scene.now)
    scene.notice()

    scene.now = TIMES.worker_grace - 1
    assert scene.caller.sweep(scene.now) == []
    scene.now = TIMES.worker_grace
    assert kinds(scene.caller.sweep(scene.now)) == [Send]


def test_sign_of_life_keeps_a_call_from_being_sent_again() -> None:
    scene = Scene(stream=False, deadline=None)
    scene.now = TIMES.overdue - 1
    scene.notice()

    scene.now = TIMES.overdue

    assert scene.caller.sweep(scene.now) == []


def test_closing_ends_every_call_with_the_error() -> None:
    scene = Scene()
    other = OutgoingCall("other", "m:g", "default", "q")
    scene.caller.open(other, 0.0)
    error = ConnectionError()

    actions = scene.caller.close(error, 1.0)

    ends = [action for action in actions if isinstance(action, End)]
    assert [end.call for end in ends] == [scene.call, other]
    assert [end.outcome for end in ends] == [error, error]
    assert scene.caller.calls == {}


# -- nobody serves the queue ---------------------------------------------------------------------


def returned_until_the_end(scene: Scene) -> list[Action]:
    """Let the transport return the call each time it is sent; return all that follows."""
    followed = scene.returned()
    while scene.call.state is not tables.ENDED:
        when = scene.caller.next_tick()
        assert when is not None
        scene.now = max(when, scene.now)
        actions = scene.caller.tick(scene.now)
        followed += actions
        if Send in kinds(actions):
            followed += scene.returned()
    return followed


def test_call_that_nobody_serves_is_sent_again_until_the_grace_is_over() -> None:
    scene = Scene(deadline=None)

    actions = returned_until_the_end(scene)

    assert isinstance(actions[-1], End)
    assert isinstance(actions[-1].outcome, errors.NoWorkerError)
    assert scene.now == TIMES.worker_grace
    assert kinds(actions).count(Send) == TIMES.worker_grace / TIMES.retry_every


def test_call_that_nobody_serves_warns_once() -> None:
    scene = Scene(deadline=None)

    actions = returned_until_the_end(scene)

    assert kinds(actions).count(Warn) == 1


def test_call_that_is_served_in_the_end_is_not_given_up() -> None:
    scene = Scene(deadline=None, stream=False)
    scene.returned()
    assert kinds(scene.after(TIMES.retry_every)) == [Send]

    assert scene.after(TIMES.worker_grace) == []
    assert kinds(scene.reply()) == [End]


# -- cancelling ----------------------------------------------------------------------------------


def test_cancel_is_sent_and_a_sign_awaited() -> None:
    scene = Scene()

    [cancel] = scene.cancel("why")

    assert isinstance(cancel, SendCancel)
    assert (cancel.reason, scene.call.cancel_message) == ("cancel", "why")
    assert scene.caller.next_tick() == TIMES.sign


def test_cancelled_call_without_a_sign_ends() -> None:
    scene = Scene()
    scene.cancel()

    [end] = scene.after(TIMES.sign)

    assert isinstance(end, End)
    assert end.outcome is None


def test_sign_gives_the_callee_time_to_clean_up() -> None:
    scene = Scene(deadline=None)
    scene.cancel()
    scene.notice(CANCELLING)

    assert scene.after(TIMES.sign) == []
    assert scene.after(TIMES.cancel_grace - TIMES.sign - 0.1) == []
    assert kinds(scene.after(0.2)) == [End]


def test_reply_of_a_callee_that_heard_of_the_cancel_counts() -> None:
    scene = Scene(stream=False)
    scene.cancel()
    scene.notice(CANCELLING)

    [end] = scene.reply()

    assert isinstance(end, End)
    assert isinstance(end.outcome, Value)


def test_reply_that_crossed_the_cancel_does_not_undo_it() -> None:
    scene = Scene(stream=False)
    scene.cancel()

    [end] = scene.reply()

    assert isinstance(end, End)
    assert end.outcome is None


def test_item_that_crossed_the_cancel_is_not_delivered() -> None:
    scene = Scene()
    scene.cancel()

    assert scene.item() == []


def test_word_that_it_never_started_ends_a_cancelled_call() -> None:
    scene = Scene()
    scene.cancel("why")

    [end] = scene.receive(Cancelled("id", "why"))

    assert isinstance(end, End)
    assert end.outcome == Cancelled("id", "why")


def test_abandoned_call_ends_without_waking_anybody() -> None:
    scene = Scene()

    assert kinds(scene.caller.abandon(scene.call, scene.now)) == [SendCancel]
    assert scene.caller.abandon(scene.call, scene.now) == []


def test_cancel_while_the_link_is_down_ends_the_call_and_is_sent_later() -> None:
    scene = Scene()
    scene.caller.unlinked(scene.now)

    assert End in kinds(scene.cancel())
    assert SendCancel in kinds(scene.caller.relinked(scene.now))


def test_link_that_was_never_lost_may_come_back() -> None:
    # A transport that says only when the link is there again.
    scene = Scene()
    scene.cancel()

    scene.caller.relinked(scene.now)

    assert scene.call.state is tables.ENDED


# -- a worker was lost ---------------------------------------------------------------------------


def tells(actions: Iterable[Action]) -> list[Tell]:
    return [action.tell for action in actions if isinstance(action, SendTell)]


def test_worker_that_asks_is_let_run_it_when_nobody_has_it() -> None:
    scene = Scene(deadline=None, stream=False)

    assert kinds(scene.ask_of_worker()) == [SendWho]

    [tell] = tells(scene.after(TIMES.holder))
    assert (tell.verdict, tell.attempt) == (tables.GO, 2)


def test_worker_that_asks_stands_by_when_another_has_it() -> None:
    scene = Scene(deadline=None, stream=False)
    scene.notice(ALIVE, "w1")
    scene.ask_of_worker()

    [tell] = tells(scene.notice(ALIVE, "w1"))

    assert tell.verdict == tables.STAND_BY
    assert scene.after(TIMES.holder) == []


def test_worker_that_asks_about_an_ended_call_is_told_so() -> None:
    scene = Scene(stream=False)
    scene.reply()

    [tell] = tells(scene.ask_of_worker())

    assert tell.verdict == tables.SETTLED


def test_second_asker_stands_by() -> None:
    scene = Scene(stream=False)
    scene.ask_of_worker(worker="w2")

    [tell] = tells(scene.ask_of_worker(worker="w3"))

    assert tell.verdict == tables.STAND_BY


def sent_twice(scene: Scene, *ids: str) -> None:
    """Let several calls be sent again, since the link was lost."""
    for id in ids:
        scene.caller.open(OutgoingCall(id, "m:f", "default", "q"), scene.now)
    scene.caller.relinked(scene.now)


def test_all_that_was_sent_twice_is_searched_at_once() -> None:
    scene = Scene(stream=False)
    sent_twice(scene, "a", "b")

    who = scene.ask_of_worker(WHY_TWICE)
    scene.after(2 * TIMES.holder)
    told = scene.receive(Ask("b", "address of w3", "w3", WHY_TWICE))

    assert sorted(each.call.id for each in who if isinstance(each, SendWho)) == ["a", "b", "id"]
    assert [tell.verdict for tell in tells(told)] == [tables.GO]


def test_worker_that_has_a_call_is_found_before_another_asks() -> None:
    scene = Scene(stream=False)
    sent_twice(scene, "a")
    scene.ask_of_worker(WHY_TWICE)
    scene.now += 0.01
    scene.receive(Notice("a", ALIVE, "w1"))

    told = scene.receive(Ask("a", "address of w3", "w3", WHY_TWICE))

    assert [tell.verdict for tell in tells(told)] == [tables.STAND_BY]


def test_worker_that_was_let_run_a_call_has_it_for_the_next_who_asks() -> None:
    scene = Scene(stream=False)
    sent_twice(scene)
    scene.ask_of_worker(WHY_TWICE, "w2")
    scene.after(TIMES.holder)

    told = scene.ask_of_worker(WHY_TWICE, "w3")

    assert [tell.verdict for tell in tells(told)] == [tables.STAND_BY]


def test_search_is_made_anew_when_its_result_is_old() -> None:
    scene = Scene(stream=False)
    sent_twice(scene)
    scene.ask_of_worker(WHY_TWICE, "w2")
    scene.after(TIMES.sought)

    assert kinds(scene.ask_of_worker(WHY_TWICE, "w3")) == [SendWho]


def test_search_for_a_lost_worker_is_made_for_each_call() -> None:
    scene = Scene(stream=False)
    sent_twice(scene, "a")
    scene.ask_of_worker(WHY_TWICE)
    scene.now += TIMES.holder

    assert kinds(scene.receive(Ask("a", "address of w3", "w3", WHY_LOST))) == [SendWho]


def test_call_that_was_handed_back_spends_no_attempt() -> None:
    scene = Scene(deadline=None, stream=False)
    scene.notice(HANDED_BACK)
    scene.ask_of_worker()

    [tell] = tells(scene.after(TIMES.holder))

    assert (tell.verdict, tell.attempt) == (tables.GO, 1)


def test_call_that_must_not_run_twice_is_lost_with_its_worker() -> None:
    scene = Scene(deadline=None, stream=False)
    scene.call.rerun = False
    scene.ask_of_worker()

    actions = scene.after(TIMES.holder)

    assert tells(actions)[0].verdict == tables.SETTLED
    [end] = [action for action in actions if isinstance(action, End)]
    assert isinstance(end.outcome, errors.WorkerLostError)


def test_last_attempt_runs_alone_and_convicts() -> None:
    scene = Scene(deadline=None, stream=False)
    last = None
    for _ in range(scene.call.max_attempts - 1):
        scene.ask_of_worker()
        [last] = tells(scene.after(TIMES.holder))
    assert last is not None
    assert (last.attempt, last.alone) == (scene.call.max_attempts, 1)
    [go] = tells(scene.ask_of_worker(WHY_LAST))
    assert go.verdict == tables.GO

    scene.ask_of_worker()
    actions = scene.after(TIMES.holder)

    assert tells(actions)[0].verdict == tables.CONDEMNED
    [end] = [action for action in actions if isinstance(action, End)]
    assert isinstance(end.outcome, errors.WorkerLostError)
    assert end.outcome.attempts == scene.call.max_attempts


def test_stream_that_was_being_read_does_not_start_again() -> None:
    scene = Scene(deadline=None)
    scene.item()
    scene.ask_of_worker()

    actions = scene.after(TIMES.holder)

    assert tells(actions)[0].verdict == tables.SETTLED
    [end] = [action for action in actions if isinstance(action, End)]
    assert isinstance(end.outcome, errors.WorkerLostError)


# -- any order -----------------------------------------------------------------------------------


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: no pair is missing, and the call ends once."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene(deadline=40.0)
        self.ended = 0
        self.deaf = False

    def heard(self, actions: list[Action]) -> None:
        self.ended += kinds(actions).count(End)
        assert all(action.call is self.scene.call for action in actions if hasattr(action, "call"))

    @property
    def state(self) -> str:
        return self.scene.call.state

    @rule(worker=st.sampled_from(["w1", "w2"]), what=st.sampled_from([ALIVE, HANDED_BACK, "x"]))
    def notice(self, worker: str, what: str) -> None:
        self.heard(self.scene.notice(what, worker))

    @rule(run=st.sampled_from(["run", "run", "other run"]), step=st.integers(-1, 1))
    def item(self, run: str, step: int) -> None:
        self.scene.number += step
        self.heard(self.scene.item(run))

    @rule(
        why=st.sampled_from([WHY_LOST, WHY_TWICE, WHY_LAST, "x"]),
        worker=st.sampled_from(["w1", "w2", "w3"]),
    )
    def ask_of_worker(self, why: str, worker: str) -> None:
        self.heard(self.scene.ask_of_worker(why, worker))

    @rule()
    def returned(self) -> None:
        if not self.deaf:
            self.heard(self.scene.returned())

    @rule()
    def unlink(self) -> None:
        self.deaf = True
        self.heard(self.scene.caller.unlinked(self.scene.now))

    @rule()
    def relink(self) -> None:
        self.deaf = False
        self.heard(
            [
                action
                for action in self.scene.caller.relinked(self.scene.now)
                if getattr(action, "call", None) is self.scene.call
            ]
        )

    @precondition(lambda self: self.state in (tables.OPEN, tables.CANCELLING))
    @rule()
    def cancel(self) -> None:
        self.heard(self.scene.cancel())

    @precondition(lambda self: self.state == tables.PARKED)
    @rule()
    def pull(self) -> None:
        assert self.scene.call.consumer is not None
        self.scene.call.consumer.take()
        self.heard(self.scene.pull())

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0, 2.0, 10.0]))
    def time_passes(self, seconds: float) -> None:
        self.heard(self.scene.after(seconds))
        self.heard(self.scene.caller.sweep(self.scene.now))

    @precondition(lambda self: self.state != tables.ENDED)
    @rule(end=st.sampled_from(["reply", "failed", "close"]))
    def end(self, end: str) -> None:
        if end == "reply":
            self.heard(self.scene.reply())
        elif end == "failed":
            self.heard(self.scene.caller.failed("id", OSError(), self.scene.now))
        else:
            self.heard(self.scene.caller.close(OSError(), self.scene.now))
        assert self.state == tables.ENDED

    @invariant()
    def it_is_in_the_table_until_it_has_ended_once(self) -> None:
        assert self.ended == (self.state == tables.ENDED)
        assert ("id" in self.scene.caller.calls) is (self.state != tables.ENDED)

    def teardown(self) -> None:
        # Nothing happens any more but the deadline.
        self.heard(self.scene.after(100.0))
        assert self.state == tables.ENDED
        assert self.ended == 1


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=30)
