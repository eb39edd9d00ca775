"""What strangers can cause is logged a few times, and counted."""

from __future__ import annotations

import logging

import pytest

from atasks_ng.core.logs import SeldomLogger


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def seldom(clock: Clock) -> SeldomLogger:
    return SeldomLogger(logging.getLogger("atasks_ng.test"), most=2, every=10.0, clock=clock)


def test_few_are_logged_as_they_come(
    seldom: SeldomLogger, caplog: pytest.LogCaptureFixture
) -> None:
    seldom.warning("kind", "number %d", 1)
    seldom.warning("kind", "number %d", 2)

    assert caplog.messages == ["number 1", "number 2"]


def test_many_are_counted_and_told_with_the_next(
    seldom: SeldomLogger, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5):
        seldom.warning("kind", "number %d", number)
    clock.now += 9.9
    seldom.warning("kind", "number %d", 5)

    clock.now += 0.1
    seldom.warning("kind", "number %d", 6)
    seldom.warning("kind", "number %d", 7)

    assert caplog.messages == [
        "number 0",
        "number 1",
        "number 6 (and 4 more of the kind before)",
        "number 7",
    ]


def test_kinds_do_not_hide_each_other(
    seldom: SeldomLogger, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        seldom.warning("one", "one")
    seldom.warning("other", "other")

    assert caplog.messages == ["one", "one", "other"]


def test_time_that_passed_without_any_is_not_mentioned(
    seldom: SeldomLogger, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    seldom.warning("kind", "first")
    clock.now += 100
    seldom.warning("kind", "second")

    assert caplog.messages == ["first", "second"]
