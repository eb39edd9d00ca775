"""The callee's machine: what follows from what, for every pair that can occur."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from atasks_ng.protocol import callee as callee_module
from atasks_ng.protocol import tables
from atasks_ng.protocol.actions import (
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
from atasks_ng.protocol.callee import CALLEE, Callee, CalleeTimes, IncomingCall
from atasks_ng.protocol.envelopes import (
    ALIVE,
    CANCELLING,
    HANDED_BACK,
    WHY_LAST,
    WHY_LOST,
    WHY_STALE,
    WHY_TWICE,
    Ask,
    Cancel,
    Cancelled,
    Notice,
    Refusal,
    Request,
    Tell,
    Value,
    Who,
)

STATES = [
    *[tables.ASKING, tables.WAITING, tables.CONFIRMING],
    *[tables.RUNNING, tables.CANCELLING, tables.ANSWERING],
]
EVENTS = [
    *[tables.GO, tables.STAND_BY, tables.SETTLED, tables.CONDEMNED, tables.GONE, tables.CANCEL],
    *[tables.SLOT, tables.LAST_SLOT, tables.BODY_ENDED, tables.ANSWERED, tables.RECALL],
    *[tables.UNLINKED, tables.DEADLINE, tables.SILENCE, tables.ASK_AGAIN, tables.FORBIDDEN],
    *[tables.LISTENING, tables.AWAY],
]

#: Why a pair is not in the table: an event, and the states in which it cannot occur.
NEVER: dict[str, tuple[set[str], str]] = {
    **{
        event: ({*STATES} - {tables.ASKING, tables.CONFIRMING}, "it is stale then, and ignored")
        for event in tables.STALE
    },
    tables.SLOT: ({*STATES} - {tables.WAITING}, "only who waits gets one"),
    tables.LAST_SLOT: ({*STATES} - {tables.WAITING}, "only who waits gets one"),
    tables.BODY_ENDED: (
        {*STATES} - {tables.RUNNING, tables.CANCELLING},
        "the body has not begun, or has ended",
    ),
    tables.ANSWERED: ({*STATES} - {tables.ANSWERING}, "no answer is being made"),
    tables.UNLINKED: (
        {tables.RUNNING, tables.CANCELLING, tables.ANSWERING},
        "what has begun goes on without a link",
    ),
    tables.FORBIDDEN: ({*STATES} - {tables.ASKING}, "it follows from silence"),
    tables.LISTENING: ({*STATES} - {tables.ASKING}, "nobody looks then"),
    tables.AWAY: ({*STATES} - {tables.ASKING}, "nobody looks then"),
}

TIMES = CalleeTimes()
DEADLINE = 1000.0


def request(id: str = "id", **changes: Any) -> Request:
    fields: dict[str, Any] = {
        "id": id,
        "task": "m:f",
        "codec": "MsgpackCodec",
        "ttl_ms": None,
        "depth": 0,
        "parent": None,
        "root": id,
        "credit": 0,
        "sent": 1,
        "rerun": 1,
        "context": None,
        "payload": b"",
    }
    return Request(**(fields | changes))


class Scene:
    """A worker with one slot, one call, and a clock; every event can happen to it."""

    def __init__(self, *, lost: bool = False, busy: bool = False, **changes: Any) -> None:
        self.now = 0.0
        self.callee = Callee("w", 1, "address", TIMES)
        self.other = IncomingCall(request("other"), "q")
        if busy:
            self.callee.deliver(self.other, self.now)
        self.call = IncomingCall(request(**changes), "q", lost=lost)
        self.call.delivery = "delivery"

    def deliver(self) -> list[Action]:
        return self.callee.deliver(self.call, self.now)

    def after(self, seconds: float) -> list[Action]:
        self.now += seconds
        return self.callee.tick(self.now)

    def looked(self, listening: bool) -> list[Action]:
        assert kinds(self.after(TIMES.silence)) == [Look]
        return self.callee.looked(self.call, listening, self.now)

    def cancel(self, reason: str = "cancel", message: str | None = None) -> list[Action]:
        return self.callee.cancel(Cancel("id", reason, message), self.now)

    def tell(self, verdict: str, attempt: int = 2, alone: int = 0) -> list[Action]:
        return self.callee.tell(Tell("id", verdict, attempt, alone), self.now)

    def free_slot(self) -> list[Action]:
        """Let the other call end."""
        self.callee.body_ended(self.other, self.now)
        actions: list[Action] = []
        for who in self.callee.slots.release(self.other):
            assert isinstance(who, IncomingCall)
            actions += self.callee.granted(who, self.now)
        self.callee.answered(self.other, Value("other", 0, None, b""), self.now)
        return actions

    def answered(self) -> list[Action]:
        return self.callee.answered(self.call, Value("id", 0, None, b"value"), self.now)


def scene_at(state: str, *, alone: bool = False, rerun: int = 1) -> Scene:
    """Return a scene in which the call came into a state as it does in life."""
    ttl_ms = int(DEADLINE * 1000)
    if state == tables.WAITING:
        scene = Scene(busy=True, lost=alone, ttl_ms=ttl_ms)
        scene.deliver()
        if alone:
            scene.tell(tables.GO, alone=1)
    elif state in (tables.ASKING, tables.CONFIRMING):
        scene = Scene(lost=True, ttl_ms=ttl_ms, rerun=rerun)
        scene.deliver()
        if state == tables.CONFIRMING:
            scene.tell(tables.GO, alone=1)
    else:
        scene = Scene(ttl_ms=ttl_ms)
        scene.deliver()
        if state == tables.CANCELLING:
            scene.cancel()
        elif state == tables.ANSWERING:
            scene.callee.body_ended(scene.call, scene.now)
    assert scene.call.state is state
    return scene


def kinds(actions: Iterable[Action]) -> list[type]:
    return [type(action) for action in actions]


def happen_ask_again(scene: Scene) -> list[Action]:
    scene.tell(tables.STAND_BY)
    return scene.after(TIMES.stand_by)


#: How each event comes about.
HAPPEN: dict[str, Callable[[Scene], list[Action]]] = {
    **{
        verdict: lambda scene, verdict=verdict: scene.tell(verdict)  # type: ignore[misc]
        for verdict in (tables.GO, tables.STAND_BY, tables.SETTLED, tables.CONDEMNED)
    },
    tables.GONE: lambda scene: scene.callee.gone("id", scene.now),
    tables.CANCEL: Scene.cancel,
    tables.SLOT: Scene.free_slot,
    tables.LAST_SLOT: Scene.free_slot,
    tables.BODY_ENDED: lambda scene: scene.callee.body_ended(scene.call, scene.now),
    tables.ANSWERED: Scene.answered,
    tables.RECALL: lambda scene: scene.callee.recall(scene.now),
    tables.UNLINKED: lambda scene: scene.callee.unlinked(scene.now),
    tables.DEADLINE: lambda scene: scene.cancel("deadline"),
    tables.SILENCE: lambda scene: scene.after(TIMES.silence),
    tables.ASK_AGAIN: happen_ask_again,
    tables.FORBIDDEN: lambda scene: scene.looked(True),
    tables.LISTENING: lambda scene: scene.looked(True),
    tables.AWAY: lambda scene: scene.looked(False),
}


# -- the table -----------------------------------------------------------------------------------


def test_every_pair_is_in_the_table_or_cannot_occur() -> None:
    pairs = {(state, event) for state in STATES for event in EVENTS}
    impossible = {(state, event) for event, (states, _) in NEVER.items() for state in states}

    assert set(CALLEE) | impossible == pairs
    assert set(CALLEE).isdisjoint(impossible)


@pytest.mark.parametrize(("state", "event"), CALLEE, ids=map(" ".join, CALLEE))
def test_pair_leads_where_the_table_says(state: str, event: str) -> None:
    scene = scene_at(state, alone=event == tables.LAST_SLOT, rerun=int(event != tables.FORBIDDEN))

    HAPPEN[event](scene)

    expected = CALLEE[state, event][0]
    if state == tables.ASKING and event in (tables.GO, tables.LISTENING):
        expected = tables.RUNNING  # a slot is free
    assert scene.call.state is expected
    assert ("id" in scene.callee.calls) is (expected is not tables.ENDED)


@pytest.mark.parametrize("event", sorted(tables.VERDICTS))
@pytest.mark.parametrize("state", sorted(NEVER[tables.GO][0]))
def test_stale_word_of_the_caller_changes_nothing(state: str, event: str) -> None:
    scene = scene_at(state)

    assert scene.tell(event) == []
    assert scene.call.state is state


# -- starting ------------------------------------------------------------------------------------


def test_call_starts_when_a_slot_is_free() -> None:
    scene = Scene()

    assert scene.deliver() == [Start(scene.call)]


def test_call_waits_when_no_slot_is_free() -> None:
    scene = Scene(busy=True)

    assert scene.deliver() == []
    assert kinds(scene.free_slot()) == [Start]


def test_cancel_that_was_faster_than_the_call_prevents_it() -> None:
    scene = Scene()
    scene.cancel(message="why")

    [answer] = scene.deliver()

    assert isinstance(answer, Answer)
    assert answer.envelope == Cancelled("id", "why")


def test_memory_of_cancels_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callee_module, "REMEMBERED_CANCELS", 2)
    scene = Scene()
    scene.cancel()

    for number in range(2):
        scene.callee.cancel(Cancel(f"other {number}", "cancel", None), scene.now)

    assert kinds(scene.deliver()) == [Start]


def test_expired_call_never_starts() -> None:
    [answer] = Scene(ttl_ms=0).deliver()

    assert isinstance(answer, Answer)
    assert answer.envelope is None


def test_call_that_expires_while_it_waits_leaves_the_line() -> None:
    scene = Scene(busy=True, ttl_ms=500)
    scene.deliver()

    assert kinds(scene.after(0.5)) == [Answer]
    assert scene.free_slot() == []


def test_call_delivered_twice_runs_once_and_settles_both() -> None:
    scene = Scene()
    scene.deliver()
    again = IncomingCall(request(), "q")
    again.delivery = "second delivery"

    [answer] = scene.callee.deliver(again, scene.now)

    assert isinstance(answer, Answer)
    assert (answer.call.delivery, answer.envelope) == ("delivery", None)
    assert scene.call.delivery == "second delivery"


def test_call_that_ended_a_moment_ago_is_answered_again() -> None:
    scene = Scene()
    scene.deliver()
    scene.callee.body_ended(scene.call, scene.now)
    scene.answered()
    scene.callee.sent(scene.call, b"the answer")

    assert scene.deliver() == [AnswerAgain(scene.call, b"the answer")]
    assert scene.callee.has("id")


def test_memory_of_answers_is_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callee_module, "REMEMBERED_ANSWERS", 2)
    callee = Callee("w", 1)

    for number in range(3):
        callee.sent(IncomingCall(request(str(number)), "q"), b"")

    assert [callee.has(str(number)) for number in range(3)] == [False, True, True]


def test_memory_of_answers_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callee_module, "REMEMBERED_ANSWER_BYTES", 10)
    callee = Callee("w", 1)

    for number in range(3):
        callee.sent(IncomingCall(request(str(number)), "q"), b"12345")

    assert [callee.has(str(number)) for number in range(3)] == [False, True, True]


# -- ending --------------------------------------------------------------------------------------


def test_answer_settles_the_call() -> None:
    scene = scene_at(tables.ANSWERING)

    assert scene.answered() == [Answer(scene.call, Value("id", 0, None, b"value"))]


def test_cancel_is_noticed_and_interrupts() -> None:
    scene = scene_at(tables.RUNNING)

    notice, interrupt = scene.cancel(message="why")

    assert notice == Say(scene.call, Notice("id", CANCELLING, "w"))
    assert interrupt == Interrupt(scene.call, "why")


def test_second_cancel_interrupts_again() -> None:
    assert kinds(scene_at(tables.CANCELLING).cancel()) == [Say, Interrupt]


def test_deadline_and_the_cancel_that_it_brings_interrupt_once() -> None:
    scene = scene_at(tables.RUNNING)

    assert kinds(scene.after(DEADLINE)) == [Interrupt]
    assert kinds(scene.cancel()) == [Say]
    assert kinds(scene.cancel()) == [Say, Interrupt]


def test_deadline_on_both_sides_interrupts_once() -> None:
    scene = scene_at(tables.RUNNING)

    assert kinds(scene.after(DEADLINE)) == [Interrupt]
    assert scene.cancel("deadline") == []


def test_cancel_of_a_call_that_is_being_answered_is_too_late() -> None:
    scene = scene_at(tables.ANSWERING)

    assert scene.cancel() == []
    assert kinds(scene.answered()) == [Answer]


def test_cancel_while_it_waits_is_answered_at_once() -> None:
    scene = scene_at(tables.WAITING)

    assert scene.cancel(message="why") == [Answer(scene.call, Cancelled("id", "why"))]
    assert scene.free_slot() == []


def test_stopping_hands_back_what_waits() -> None:
    scene = scene_at(tables.WAITING)

    said, handed_back = scene.callee.recall(scene.now, waiting_only=True)

    assert said == Say(scene.call, Notice("id", HANDED_BACK, "w"))
    assert handed_back == HandBack(scene.call)
    assert scene.other.state is tables.RUNNING


def test_stopping_hands_back_what_ran_when_it_has_cleaned_up() -> None:
    scene = scene_at(tables.RUNNING)
    assert kinds(scene.callee.recall(scene.now)) == [Interrupt]

    scene.callee.body_ended(scene.call, scene.now)

    assert kinds(scene.answered()) == [Say, HandBack]


def test_stopping_ends_what_must_not_run_twice() -> None:
    scene = Scene(rerun=0)
    scene.deliver()
    scene.callee.recall(scene.now)
    scene.callee.body_ended(scene.call, scene.now)

    [answer] = scene.answered()

    assert isinstance(answer, Answer)
    assert answer.envelope == Refusal("id", "WorkerLostError", ["m:f", 1])


# -- asking the caller ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lost", "stale", "sent", "why"),
    [
        (True, False, 1, WHY_LOST),
        (False, False, 2, WHY_TWICE),
        (True, True, 2, WHY_LOST),
        (False, True, 2, WHY_TWICE),
        (False, True, 1, WHY_STALE),
    ],
)
def test_call_that_may_not_be_awaited_asks_first(
    lost: bool, stale: bool, sent: int, why: str
) -> None:
    scene = Scene(lost=lost, sent=sent)
    scene.call.stale = stale

    assert scene.deliver() == [Say(scene.call, Ask("id", "address", "w", why))]


def test_caller_that_is_away_is_asked_less_and_less_often_and_keeps_nobody_waiting() -> None:
    scene = Scene(lost=True)
    scene.deliver()
    pauses = []

    assert scene.looked(False) == [Widen(scene.call, +1)]
    for _ in range(5):
        begun = scene.now
        while not (asked := scene.after(1.0)):
            pass
        assert kinds(asked) == [Say]
        pauses.append(scene.now - begun)
        assert scene.looked(False) == []

    assert pauses == [2, 4, 8, 16, 16]
    assert scene.tell(tables.GO) == [Widen(scene.call, -1), Start(scene.call)]


def test_call_of_a_caller_known_to_be_away_is_not_counted_from_the_beginning() -> None:
    scene = Scene(lost=True)
    scene.call.away = True

    assert kinds(scene.deliver()) == [Widen, Say]
    assert scene.callee.gone("id", scene.now) == [
        Widen(scene.call, -1),
        Answer(scene.call, None),
    ]


def test_look_that_ends_after_the_caller_has_answered_changes_nothing() -> None:
    scene = Scene(lost=True)
    scene.deliver()
    scene.after(TIMES.silence)
    scene.tell(tables.STAND_BY)

    assert scene.callee.looked(scene.call, True, scene.now) == []
    assert scene.call.state is tables.ASKING


@pytest.mark.parametrize("rerun", [1, 0])
def test_call_whose_caller_seemed_to_be_gone_was_cancelled_by_nobody(rerun: int) -> None:
    scene = Scene(rerun=rerun)
    scene.deliver()
    assert kinds(scene.callee.gone("id", scene.now)) == [Interrupt]
    scene.callee.body_ended(scene.call, scene.now)

    [answer] = scene.answered()

    # The caller may come back and ask again: then it runs again, or is lost if it must not.
    assert isinstance(answer, Answer)
    if rerun:
        assert answer.envelope is None
    else:
        assert answer.envelope == Refusal("id", "WorkerLostError", ["m:f", scene.call.attempt])


@pytest.mark.parametrize("verdict", [tables.SILENCE, tables.ASK_AGAIN, "nonsense"])
def test_what_is_no_verdict_is_ignored(verdict: str) -> None:
    scene = Scene(lost=True)
    scene.deliver()

    assert scene.tell(verdict) == []
    assert scene.call.state is tables.ASKING


def test_worker_without_an_address_asks_nobody() -> None:
    scene = Scene(lost=True)
    scene.callee.address = None

    assert kinds(scene.deliver()) == [Start]


def test_attempt_is_what_the_caller_says() -> None:
    scene = scene_at(tables.ASKING)

    assert kinds(scene.tell(tables.GO, attempt=2)) == [Start]
    assert scene.call.attempt == 2


def test_call_on_stand_by_asks_again() -> None:
    scene = scene_at(tables.ASKING)
    assert scene.tell(tables.STAND_BY) == []

    assert kinds(scene.after(TIMES.stand_by)) == [Say]


def test_call_whose_caller_is_silent_runs() -> None:
    scene = scene_at(tables.ASKING)

    assert kinds(scene.looked(True)) == [Start]


def test_call_that_must_not_run_twice_does_not_run_on_a_presumption() -> None:
    scene = scene_at(tables.ASKING, rerun=0)

    [answer] = scene.looked(True)

    assert isinstance(answer, Answer)
    assert answer.envelope == Refusal("id", "WorkerLostError", ["m:f", 1])


def test_call_that_a_stranger_may_have_sent_runs_on_its_callers_word_only() -> None:
    scene = Scene()
    scene.call.stale = scene.call.doubted = True
    assert kinds(scene.deliver()) == [Say]

    assert kinds(scene.looked(True)) == [Widen]
    assert kinds(scene.after(TIMES.stand_by)) == [Say]
    assert scene.looked(True) == []

    assert kinds(scene.tell(tables.GO)) == [Widen, Start]


def test_doubted_call_that_was_lost_and_must_not_run_twice_is_answered() -> None:
    scene = Scene(lost=True, rerun=0)
    scene.call.doubted = True
    scene.deliver()

    [answer] = scene.looked(True)

    assert isinstance(answer, Answer)
    assert answer.envelope == Refusal("id", "WorkerLostError", ["m:f", 1])


def test_condemned_call_is_buried() -> None:
    assert kinds(scene_at(tables.ASKING).tell(tables.CONDEMNED)) == [Bury]


def test_call_that_runs_alone_tells_the_caller_before_it_begins() -> None:
    scene = scene_at(tables.ASKING)

    assert scene.tell(tables.GO, 3, alone=1) == [
        Say(scene.call, Ask("id", "address", "w", WHY_LAST))
    ]
    assert kinds(scene.tell(tables.GO, 3, alone=1)) == [Start]


@pytest.mark.parametrize("event", [tables.SETTLED, tables.CONDEMNED])
def test_call_that_was_to_run_alone_gives_its_slot_back(event: str) -> None:
    scene = scene_at(tables.CONFIRMING)

    assert kinds(scene.tell(event))[-1] is FreeSlot


def test_lost_link_drops_what_has_not_begun() -> None:
    scene = scene_at(tables.WAITING)

    assert scene.callee.unlinked(scene.now) == []
    assert "id" not in scene.callee.calls
    assert scene.other.state is tables.RUNNING


# -- signs of life -------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [tables.RUNNING, tables.WAITING, tables.CANCELLING])
def test_call_that_takes_long_says_that_it_is_alive(state: str) -> None:
    scene = scene_at(state)
    scene.other.beat_at = 1e9  # of the other one nothing is heard here
    alive = Say(scene.call, Notice("id", ALIVE, "w"))

    heard = [second for second in range(40) if alive in scene.callee.sweep(scene.now + second)]

    assert heard == [TIMES.first_beat, TIMES.first_beat + TIMES.beat, 1 + 2 * TIMES.beat]


def test_worker_that_has_the_call_says_so_when_asked() -> None:
    scene = scene_at(tables.RUNNING)

    said = scene.callee.who(Who("id", "caller"), scene.now)

    assert said == [Say(scene.call, Notice("id", ALIVE, "w"))]


def test_worker_that_ended_the_call_answers_whoever_asks() -> None:
    scene = Scene()
    scene.callee.sent(scene.call, b"the answer")

    assert scene.callee.who(Who("id", "caller"), 0.0) == [SayTo("caller", "id", b"the answer")]


@pytest.mark.parametrize("state", [tables.ASKING, tables.CONFIRMING])
def test_worker_that_asks_itself_does_not_claim_the_call(state: str) -> None:
    scene = scene_at(state)

    assert scene.callee.who(Who("id", "caller"), scene.now) == []


def test_worker_that_never_had_the_call_says_nothing() -> None:
    assert Scene().callee.who(Who("id", "caller"), 0.0) == []


# -- any order -----------------------------------------------------------------------------------


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: no pair is missing, every delivery is settled once."""

    ids = st.sampled_from("abc")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.callee = Callee("w", 2, "address", TIMES)
        self.deliveries = 0
        self.unsettled: set[int] = set()
        self.bodies: list[IncomingCall] = []
        self.answering: list[IncomingCall] = []

    def carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Answer | AnswerAgain | HandBack | Bury):
                self.unsettled.remove(action.call.delivery)
            if isinstance(action, Answer) and action.envelope is not None:
                self.callee.sent(action.call, b"answer")
            if isinstance(action, Start):
                assert action.call not in self.bodies
                self.bodies.append(action.call)
            if isinstance(action, Interrupt):
                assert action.call in self.bodies
            if isinstance(action, FreeSlot):
                self.release(action.call)

    def release(self, call: IncomingCall) -> None:
        for who in self.callee.slots.release(call):
            assert isinstance(who, IncomingCall)
            self.carry_out(self.callee.granted(who, self.now))

    @rule(
        id=ids,
        nested=st.booleans(),
        lost=st.booleans(),
        sent=st.integers(1, 2),
        rerun=st.integers(0, 1),
        ttl_ms=st.sampled_from([None, None, 0, 100, 1500, 60_000]),
    )
    def deliver(
        self, id: str, nested: bool, lost: bool, sent: int, rerun: int, ttl_ms: int | None
    ) -> None:
        call = IncomingCall(
            request(id, sent=sent, rerun=rerun, ttl_ms=ttl_ms), "q", nested=nested, lost=lost
        )
        self.deliveries += 1
        self.unsettled.add(self.deliveries)
        call.delivery = self.deliveries
        self.carry_out(self.callee.deliver(call, self.now))

    @rule(id=ids, reason=st.sampled_from(["cancel", "deadline", "x"]))
    def cancel(self, id: str, reason: str) -> None:
        self.carry_out(self.callee.cancel(Cancel(id, reason, None), self.now))

    @rule(
        id=ids,
        verdict=st.sampled_from([*sorted(tables.STALE), "x"]),
        attempt=st.integers(-1, 4),
        alone=st.integers(0, 1),
    )
    def tell(self, id: str, verdict: str, attempt: int, alone: int) -> None:
        self.carry_out(self.callee.tell(Tell(id, verdict, attempt, alone), self.now))

    @rule(id=ids)
    def who(self, id: str) -> None:
        self.carry_out(self.callee.who(Who(id, "caller"), self.now))

    @rule(id=ids)
    def gone(self, id: str) -> None:
        self.carry_out(self.callee.gone(id, self.now))

    @precondition(lambda self: self.bodies)
    @rule(data=st.data())
    def body_ends(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(self.bodies))
        self.bodies.remove(call)
        self.answering.append(call)
        self.carry_out(self.callee.body_ended(call, self.now))

    @precondition(lambda self: self.answering)
    @rule(data=st.data())
    def answer_is_ready(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(self.answering))
        self.answering.remove(call)
        self.release(call)
        value = Value(call.id, 0, None, b"")
        self.carry_out(self.callee.answered(call, value, self.now))

    @rule(waiting_only=st.booleans())
    def recall(self, waiting_only: bool) -> None:
        self.carry_out(self.callee.recall(self.now, waiting_only=waiting_only))

    @rule()
    def unlink(self) -> None:
        before = {call.delivery for call in self.callee.calls.values()}
        self.carry_out(self.callee.unlinked(self.now))
        after = {call.delivery for call in self.callee.calls.values()}
        # The broker has them back.
        self.unsettled -= before - after

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0, 10.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.carry_out(self.callee.tick(self.now))
        self.carry_out(self.callee.sweep(self.now))

    @invariant()
    def slots_are_held_by_those_who_run(self) -> None:
        confirming = [
            call for call in self.callee.calls.values() if call.state is tables.CONFIRMING
        ]
        assert self.callee.slots.used == len([*self.bodies, *self.answering, *confirming])
        assert self.callee.slots.used <= 2

    @invariant()
    def every_delivery_is_settled_or_in_the_table(self) -> None:
        assert self.unsettled == {call.delivery for call in self.callee.calls.values()}

    def teardown(self) -> None:
        self.carry_out(self.callee.recall(self.now))
        while self.bodies or self.answering:
            for call in list(self.bodies):
                self.bodies.remove(call)
                self.answering.append(call)
                self.carry_out(self.callee.body_ended(call, self.now))
            for call in list(self.answering):
                self.answering.remove(call)
                self.release(call)
                value = Value(call.id, 0, None, b"")
                self.carry_out(self.callee.answered(call, value, self.now))
            self.carry_out(self.callee.recall(self.now))
        assert self.callee.calls == {}
        assert self.unsettled == set()
        assert (self.callee.slots.used, self.callee.slots.waiting) == (0, 0)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=30)
