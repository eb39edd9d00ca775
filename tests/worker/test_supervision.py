"""The rules of the supervisor: no process and no clock, so that years pass in a millisecond."""

from __future__ import annotations

import logging
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atasks_ng.worker.supervision import (
    GONE,
    PAUSED,
    READY,
    STARTING,
    Policy,
    Report,
    Send,
    Spawn,
    Step,
    Supervision,
    describe_exit,
)

KILLED = -signal.SIGKILL


def begun(processes: int = 1, **policy: float | None) -> Supervision:
    supervision = Supervision(Policy(processes, **policy))
    supervision.begin(0.0)
    for number in supervision.children:
        supervision.started(number, 1000 + number)
    return supervision


def ready(processes: int = 1, **policy: float | None) -> Supervision:
    supervision = begun(processes, **policy)
    for number in supervision.children:
        supervision.ready(number)
    return supervision


def acts(steps: list[Step]) -> list[Step]:
    return [step for step in steps if not isinstance(step, Report)]


def texts(steps: list[Step]) -> str:
    return "; ".join(step.text for step in steps if isinstance(step, Report))


def test_begin_starts_every_process() -> None:
    supervision = Supervision(Policy(3))

    steps = supervision.begin(0.0)

    assert steps == [Spawn(1), Spawn(2), Spawn(3)]
    assert {child.state for child in supervision.children.values()} == {STARTING}


def test_started_and_ready_are_reported_with_number_and_pid() -> None:
    supervision = Supervision(Policy(1))
    supervision.begin(0.0)

    assert texts(supervision.started(1, 77)) == "worker process 1 (pid 77) started"
    assert texts(supervision.ready(1)) == "worker process 1 (pid 77) ready"
    assert supervision.children[1].state is READY


def test_ready_of_a_process_that_died_meanwhile_is_ignored() -> None:
    supervision = ready()
    supervision.died(1, KILLED, 1.0)

    assert supervision.ready(1) == []
    assert supervision.children[1].state is PAUSED


def test_death_after_a_long_life_restarts_at_once() -> None:
    supervision = ready(quick=10.0)

    steps = supervision.died(1, KILLED, 11.0)

    assert texts(steps) == (
        "worker process 1 (pid 1001) died with signal 9 (SIGKILL), restarting in 0 s"
    )
    assert supervision.next_tick() == 11.0
    assert supervision.tick(11.0) == [Spawn(1)]


def test_quick_deaths_restart_after_a_growing_pause() -> None:
    supervision = ready(first_pause=0.5, longest_pause=3.0)
    pauses = []

    now = 0.0
    for _ in range(5):
        supervision.died(1, 1, now)
        wake = supervision.next_tick()
        assert wake is not None
        pauses.append(wake - now)
        assert supervision.tick(wake - 0.01) == []
        assert supervision.tick(wake) == [Spawn(1)]
        supervision.ready(1)
        now = wake

    assert pauses == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_long_life_forgets_quick_deaths() -> None:
    supervision = ready(first_pause=0.5)
    for now in (1.0, 2.0):
        supervision.died(1, 1, now)
        supervision.tick(now + 1.0)
        supervision.ready(1)

    supervision.died(1, 1, 100.0)

    assert supervision.next_tick() == 100.0


def test_deaths_in_a_row_before_ready_end_everything() -> None:
    supervision = begun(2, max_failures=3)
    supervision.died(1, 7, 0.1)
    supervision.died(2, 7, 0.1)
    supervision.tick(10.0)
    supervision.started(2, 1003)

    steps = supervision.died(1, 7, 10.1)

    assert "ended with exit status 7; 3 times in a row" in texts(steps)
    assert acts(steps) == [Send(2, signal.SIGTERM)]
    assert supervision.exit_status is None
    supervision.died(2, -signal.SIGTERM, 10.2)
    assert supervision.exit_status == 1


def test_one_ready_process_ends_the_row_of_deaths() -> None:
    supervision = begun(2, max_failures=2)
    supervision.died(1, 7, 0.1)
    supervision.ready(2)

    steps = supervision.died(2, 7, 0.2)
    supervision.tick(10.0)
    steps += supervision.died(1, 7, 10.0)

    assert acts(steps) == []
    assert supervision.exit_status is None


def test_command_that_cannot_be_used_ends_everything_at_once() -> None:
    supervision = begun(2)

    steps = supervision.died(1, 2, 0.1)

    assert "ended with exit status 2 before it was ready" in texts(steps)
    supervision.died(2, 2, 0.1)
    assert supervision.exit_status == 2


def test_command_that_was_once_of_use_is_tried_again() -> None:
    supervision = ready(2)
    supervision.died(1, KILLED, 1.0)
    supervision.tick(2.0)

    supervision.died(1, 2, 2.1)

    assert supervision.children[1].state is PAUSED


def test_signal_tells_every_process_and_exits_0_when_all_are_gone() -> None:
    supervision = ready(2)

    steps = supervision.signalled(signal.SIGINT, 5.0)

    assert acts(steps) == [Send(1, signal.SIGTERM), Send(2, signal.SIGTERM)]
    supervision.died(1, 0, 6.0)
    assert supervision.exit_status is None
    supervision.died(2, 0, 7.0)
    assert supervision.exit_status == 0
    assert supervision.next_tick() is None


def test_signal_before_a_process_can_heed_it_is_a_stop_in_order() -> None:
    supervision = begun()
    supervision.signalled(signal.SIGTERM, 0.1)

    supervision.died(1, -signal.SIGTERM, 0.2)

    assert supervision.exit_status == 0


def test_signal_while_all_are_paused_ends_at_once() -> None:
    supervision = ready()
    supervision.died(1, KILLED, 1.0)

    supervision.signalled(signal.SIGTERM, 1.1)

    assert supervision.children[1].state is GONE
    assert supervision.exit_status == 0


def test_process_that_does_not_stop_in_time_is_killed() -> None:
    supervision = ready(2, grace=10.0, kill_after=5.0)
    supervision.signalled(signal.SIGTERM, 100.0)
    supervision.died(1, 0, 101.0)

    assert supervision.next_tick() == 115.0
    steps = supervision.tick(115.0)

    assert acts(steps) == [Send(2, signal.SIGKILL)]
    assert "worker process 2 (pid 1002) did not stop in time" in texts(steps)
    supervision.died(2, KILLED, 115.1)
    assert supervision.exit_status == 1


def test_no_grace_limit_kills_nobody() -> None:
    supervision = ready(grace=None)

    supervision.signalled(signal.SIGTERM, 100.0)

    assert supervision.next_tick() is None


def test_death_while_stopping_is_not_answered_by_a_start() -> None:
    supervision = ready(2)
    supervision.signalled(signal.SIGTERM, 100.0)

    steps = supervision.died(1, KILLED, 100.1)

    assert acts(steps) == []
    assert supervision.tick(114.0) == []
    supervision.died(2, 0, 114.1)
    assert supervision.exit_status == 1


def test_second_signal_leaves_now() -> None:
    supervision = ready(grace=30.0, leave_within=1.0)
    supervision.signalled(signal.SIGTERM, 100.0)

    steps = supervision.signalled(signal.SIGTERM, 102.0)

    assert acts(steps) == [Send(1, signal.SIGTERM)]
    assert supervision.next_tick() == 103.0
    assert acts(supervision.tick(103.0)) == [Send(1, signal.SIGKILL)]
    supervision.died(1, KILLED, 103.1)
    assert supervision.exit_status == 128 + signal.SIGTERM


def test_signals_soon_after_the_first_are_the_same_wish() -> None:
    supervision = ready(grace=30.0, same_wish=1.0)
    supervision.signalled(signal.SIGTERM, 100.0)

    again = [supervision.signalled(signal.SIGTERM, now) for now in (100.0, 100.002, 100.9)]

    assert again == [[], [], []]
    assert supervision.next_tick() == 135.0
    supervision.died(1, 0, 101.0)
    assert supervision.exit_status == 0


def test_third_signal_kills() -> None:
    supervision = ready()
    for now in (1.0, 2.0):
        supervision.signalled(signal.SIGINT, now)

    assert acts(supervision.signalled(signal.SIGINT, 2.1)) == [Send(1, signal.SIGKILL)]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0, "ended with exit status 0"),
        (3, "ended with exit status 3"),
        (-9, "died with signal 9 (SIGKILL)"),
        (-250, "died with signal 250"),
    ],
)
def test_exit_is_described(status: int, text: str) -> None:
    assert describe_exit(status) == text


def test_reports_have_levels() -> None:
    supervision = ready()

    steps = supervision.died(1, KILLED, 1.0)

    assert [step.level for step in steps if isinstance(step, Report)] == [logging.WARNING]


events = st.lists(
    st.tuples(
        st.sampled_from(["ready", "died", "signalled", "tick"]),
        st.integers(1, 3),
        st.sampled_from([0, 1, 2, -9, -15]),
        st.floats(0.0, 20.0),
    )
)


@settings(deadline=None)  # a busy machine is no fault of the rules
@given(events)
def test_whatever_happens_it_ends_with_no_process_left(history: list[tuple]) -> None:
    supervision = begun(3)
    living, now, stopping = {1, 2, 3}, 0.0, False
    for what, number, status, passed in history:
        now += passed
        steps: list[Step] = []
        if what == "tick":
            steps = supervision.tick(now)
        elif what == "signalled":
            steps, stopping = supervision.signalled(signal.SIGTERM, now), True
        elif number in living and what == "ready":
            steps = supervision.ready(number)
        elif number in living:
            living.discard(number)
            steps = supervision.died(number, status, now)
        spawned = {step.number for step in steps if isinstance(step, Spawn)}
        assert not (spawned & living)
        assert not (stopping and spawned)
        living |= spawned
        stopping |= any(isinstance(step, Send) for step in steps)

    supervision.signalled(signal.SIGTERM, now)
    for number in list(living):
        assert supervision.exit_status is None
        supervision.died(number, 0, now)

    assert supervision.exit_status is not None
    assert supervision.next_tick() is None
