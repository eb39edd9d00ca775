"""Timers: what is due comes out once, in order, and dead entries do not pile up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atasks_ng.protocol.timers import Timers


class Subject:
    """Something that wants to be told the time."""


def test_next_is_none_when_nothing_was_asked_for() -> None:
    assert Timers[str]().next() is None


def test_next_is_the_earliest_moment() -> None:
    timers = Timers[str]()

    timers.add(5.0, "late", "a")
    timers.add(2.0, "early", "b")

    assert timers.next() == 2.0


def test_due_takes_out_what_has_come_and_leaves_the_rest() -> None:
    timers = Timers[str]()
    timers.add(3.0, "third", "c")
    timers.add(1.0, "first", "a")
    timers.add(2.0, "second", "b")

    due = timers.due(2.0)

    assert due == [("first", "a"), ("second", "b")]
    assert timers.next() == 3.0
    assert timers.due(2.0) == []


def test_equal_moments_come_in_the_order_they_were_asked_for() -> None:
    timers = Timers[object]()
    subjects = [object() for _ in range(10)]  # they have no order of their own
    for subject in subjects:
        timers.add(1.0, "same", subject)

    assert [subject for _, subject in timers.due(1.0)] == subjects


@given(st.lists(st.floats(0, 100)), st.lists(st.floats(0, 100)))
def test_every_moment_comes_once_and_not_before_its_time(
    moments: list[float], clock: list[float]
) -> None:
    timers = Timers[float]()
    for moment in moments:
        timers.add(moment, "moment", moment)

    heard = []
    for now in [*sorted(clock), 100.0]:
        due = [moment for _, moment in timers.due(now)]
        assert all(moment <= now for moment in due)
        heard += due

    assert heard == sorted(moments)


def test_compact_drops_the_dead_when_there_are_many() -> None:
    timers = Timers[Subject]()
    alive = {str(number): Subject() for number in range(10)}
    for number in range(2000):
        timers.add(number, "dead", Subject())
    for subject in alive.values():
        timers.add(5000.0, "alive", subject)

    timers.compact(alive)

    assert len(timers) == len(alive)
    assert [subject for _, subject in timers.due(5000.0)] == list(alive.values())


def test_compact_leaves_a_short_heap_alone() -> None:
    timers = Timers[Subject]()
    timers.add(1.0, "dead", Subject())

    timers.compact({})

    assert len(timers) == 1
