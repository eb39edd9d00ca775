"""Slots: never more run than there are, nobody waits beside a free one, and who comes first."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from atasks_ng.protocol.slots import NESTED, RESUMED, ROOT, Slots


def full(limit: int = 1) -> Slots:
    slots = Slots(limit)
    for number in range(limit):
        assert slots.take(f"holder {number}", ROOT)
    return slots


def test_take_gives_slots_until_the_limit() -> None:
    slots = Slots(2)

    assert [slots.take(who, ROOT) for who in "abc"] == [True, True, False]
    assert (slots.used, slots.waiting) == (2, 1)


def test_release_hands_the_slot_on() -> None:
    slots = full()
    slots.take("next", ROOT)

    assert slots.release() == "next"
    assert (slots.used, slots.waiting) == (1, 0)


def test_release_frees_the_slot_when_nobody_waits() -> None:
    slots = full()

    assert slots.release() is None
    assert slots.used == 0
    assert slots.take("later", ROOT)


def test_precedence_is_resumed_then_nested_then_root() -> None:
    slots = full()
    slots.take("root", ROOT)
    slots.take("nested", NESTED)
    slots.take("resumed", RESUMED)

    assert [slots.release() for _ in range(4)] == ["resumed", "nested", "root", None]


@pytest.mark.parametrize("precedence", [RESUMED, NESTED, ROOT])
def test_line_is_first_come_first_served(precedence: int) -> None:
    slots = full()
    for who in "abc":
        slots.take(who, precedence)

    assert [slots.release() for _ in range(3)] == ["a", "b", "c"]


def test_who_left_the_line_is_passed_over() -> None:
    slots = full()
    slots.take("a", ROOT)
    slots.take("b", ROOT)

    slots.leave("a")

    assert slots.waiting == 1
    assert slots.release() == "b"


def test_who_left_and_came_back_stands_in_line_once() -> None:
    slots = full()
    for _ in range(3):
        slots.take("a", RESUMED)
        slots.leave("a")
    slots.take("b", RESUMED)

    assert slots.waiting == 1
    assert [slots.release(), slots.release()] == ["b", None]


def test_leaving_without_standing_in_line_changes_nothing() -> None:
    slots = full()

    slots.leave("stranger")

    assert slots.waiting == 0
    assert not slots.take("stranger", ROOT)
    assert slots.release() == "stranger"


def test_force_takes_one_too_many_and_it_is_given_back_first() -> None:
    slots = full()
    slots.take("cancelled", RESUMED)
    slots.take("patient", ROOT)

    slots.force("cancelled")

    assert (slots.used, slots.waiting) == (2, 1)
    assert slots.release() is None
    assert slots.release() == "patient"


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
        self.lines: list[list[int]] = [[], [], []]
        self.idle = list(range(8))

    @property
    def waiters(self) -> list[int]:
        return sorted(who for line in self.lines for who in line)

    @precondition(lambda self: self.idle)
    @rule(data=st.data(), precedence=st.sampled_from([RESUMED, NESTED, ROOT]))
    def take(self, data: st.DataObject, precedence: int) -> None:
        who = data.draw(st.sampled_from(self.idle))
        self.idle.remove(who)
        expected = len(self.holders) < self.slots.limit
        assert self.slots.take(who, precedence) is expected
        (self.holders if expected else self.lines[precedence]).append(who)

    @precondition(lambda self: self.holders)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(self.holders))
        self.holders.remove(who)
        self.idle.append(who)
        expected = None
        if len(self.holders) < self.slots.limit and self.waiters:
            expected = next(line for line in self.lines if line).pop(0)
            self.holders.append(expected)
        assert self.slots.release() == expected

    @precondition(lambda self: self.waiters)
    @rule(data=st.data(), force=st.booleans())
    def leave_or_force(self, data: st.DataObject, force: bool) -> None:
        who = data.draw(st.sampled_from(self.waiters))
        next(line for line in self.lines if who in line).remove(who)
        if force:
            self.slots.force(who)
            self.holders.append(who)
        else:
            self.slots.leave(who)
            self.idle.append(who)

    @invariant()
    def counts_agree(self) -> None:
        assert self.slots.used == len(self.holders)
        assert self.slots.waiting == len(self.waiters)

    @invariant()
    def nobody_waits_beside_a_free_slot(self) -> None:
        assert self.slots.used >= self.slots.limit or not self.waiters


TestSlotsModel = Model.TestCase
TestSlotsModel.settings = settings(max_examples=100, stateful_step_count=40)
