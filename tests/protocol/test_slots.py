"""Slots: never more run than there are, nobody waits beside a free one, and who comes first."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from atasks_ng.protocol.slots import ALONE, NESTED, RESUMED, ROOT, Slots

LINES = [RESUMED, ALONE, NESTED, ROOT]


def full(limit: int = 1) -> Slots:
    """Return slots that holders 0, 1, … have all of."""
    slots = Slots(limit)
    for number in range(limit):
        assert slots.take(number, ROOT)
    return slots


def test_take_gives_slots_until_the_limit() -> None:
    slots = Slots(2)

    assert [slots.take(who, ROOT) for who in "abc"] == [True, True, False]
    assert (slots.used, slots.waiting) == (2, 1)


def test_release_hands_the_slot_on() -> None:
    slots = full()
    slots.take("next", ROOT)

    assert slots.release(0) == ["next"]
    assert (slots.used, slots.waiting) == (1, 0)


def test_release_frees_the_slot_when_nobody_waits() -> None:
    slots = full()

    assert slots.release(0) == []
    assert slots.used == 0
    assert slots.take("later", ROOT)


def test_precedence_is_resumed_then_nested_then_root() -> None:
    slots = full()
    slots.take("root", ROOT)
    slots.take("nested", NESTED)
    slots.take("resumed", RESUMED)

    given = [slots.release(who) for who in (0, "resumed", "nested", "root")]

    assert given == [["resumed"], ["nested"], ["root"], []]


@pytest.mark.parametrize("precedence", [RESUMED, NESTED, ROOT])
def test_line_is_first_come_first_served(precedence: int) -> None:
    slots = full()
    for who in "abc":
        slots.take(who, precedence)

    assert [slots.release(who) for who in (0, "a", "b")] == [["a"], ["b"], ["c"]]


def test_who_left_the_line_is_passed_over() -> None:
    slots = full()
    slots.take("a", ROOT)
    slots.take("b", ROOT)

    slots.leave("a")

    assert slots.waiting == 1
    assert slots.release(0) == ["b"]


def test_who_left_and_came_back_stands_in_line_once() -> None:
    slots = full()
    for _ in range(3):
        slots.take("a", RESUMED)
        slots.leave("a")
    slots.take("b", RESUMED)

    assert slots.waiting == 1
    assert slots.release(0) == ["b"]
    assert slots.release("b") == []


def test_leaving_without_standing_in_line_changes_nothing() -> None:
    slots = full()

    slots.leave("stranger")

    assert slots.waiting == 0
    assert not slots.take("stranger", ROOT)
    assert slots.release(0) == ["stranger"]


def test_force_takes_one_too_many_and_it_is_given_back_first() -> None:
    slots = full()
    slots.take("cancelled", RESUMED)
    slots.take("patient", ROOT)

    slots.force("cancelled")

    assert (slots.used, slots.waiting) == (2, 1)
    assert slots.release(0) == []
    assert slots.release("cancelled") == ["patient"]


def test_who_runs_alone_waits_until_nobody_runs() -> None:
    slots = full(2)
    assert not slots.take("suspect", ALONE)

    assert slots.release(0) == []
    assert slots.release(1) == ["suspect"]


def test_nobody_starts_beside_who_runs_alone() -> None:
    slots = Slots(2)
    assert slots.take("suspect", ALONE)

    assert not slots.take("nested", NESTED)
    assert not slots.take("root", ROOT)
    assert slots.release("suspect") == ["nested", "root"]


def test_nobody_starts_before_who_waits_to_run_alone() -> None:
    slots = full(2)
    slots.take("suspect", ALONE)
    slots.take("root", ROOT)

    assert slots.release(0) == []
    assert slots.release(1) == ["suspect"]
    assert slots.release("suspect") == ["root"]


def test_others_start_when_who_waits_to_run_alone_leaves() -> None:
    slots = full(2)
    slots.take("suspect", ALONE)
    slots.release(0)
    slots.take("root", ROOT)

    assert slots.leave("suspect") == ["root"]


def test_repr_tells_the_state() -> None:
    slots = full(2)
    slots.take("a", ROOT)

    assert repr(slots) == "<Slots 2 of 2 used, 1 waiting>"


class Model(RuleBasedStateMachine):
    """Slots beside a plain model: lists of who holds and who waits."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = Slots(2)
        self.holders: list[int] = []
        self.lines: dict[int, list[int]] = {precedence: [] for precedence in LINES}
        self.alone: int | None = None
        self.idle = list(range(8))

    @property
    def waiters(self) -> list[int]:
        return [who for line in self.lines.values() for who in line]

    def may_start(self, precedence: int) -> bool:
        if self.alone is not None:
            return precedence == RESUMED and len(self.holders) < self.slots.limit
        if precedence == ALONE:
            return not self.holders
        if precedence in (NESTED, ROOT) and self.lines[ALONE]:
            return False
        return len(self.holders) < self.slots.limit

    def start(self, who: int, precedence: int) -> None:
        self.holders.append(who)
        if precedence == ALONE:
            self.alone = who

    def expected(self) -> list[int]:
        """Start whoever may, in the order of the law, and return them."""
        started = []
        for precedence, line in self.lines.items():
            while line and self.may_start(precedence):
                self.start(line[0], precedence)
                started.append(line.pop(0))
        return started

    @precondition(lambda self: self.idle)
    @rule(data=st.data(), precedence=st.sampled_from(LINES))
    def take(self, data: st.DataObject, precedence: int) -> None:
        who = data.draw(st.sampled_from(self.idle))
        self.idle.remove(who)
        at_once = not self.lines[precedence] and self.may_start(precedence)
        if at_once:
            self.start(who, precedence)
        else:
            self.lines[precedence].append(who)
        assert self.slots.take(who, precedence) is at_once

    @precondition(lambda self: self.holders)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(self.holders))
        self.holders.remove(who)
        self.idle.append(who)
        if self.alone == who:
            self.alone = None
        assert self.slots.release(who) == self.expected()

    @precondition(lambda self: self.waiters)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(self.waiters))
        next(line for line in self.lines.values() if who in line).remove(who)
        self.idle.append(who)
        assert self.slots.leave(who) == self.expected()

    @precondition(lambda self: self.lines[RESUMED])
    @rule(data=st.data())
    def force(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(self.lines[RESUMED]))
        self.lines[RESUMED].remove(who)
        self.holders.append(who)
        self.slots.force(who)

    @invariant()
    def counts_agree(self) -> None:
        assert self.slots.used == len(self.holders)
        assert self.slots.waiting == len(self.waiters)

    @invariant()
    def nobody_waits_who_may_start(self) -> None:
        assert not any(line and self.may_start(which) for which, line in self.lines.items())


TestSlotsModel = Model.TestCase
TestSlotsModel.settings = settings(max_examples=60, stateful_step_count=30)
