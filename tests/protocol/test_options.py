"""Options of tasks: checked where they are written, and the sentence says what is allowed."""

from __future__ import annotations

import dataclasses
import datetime
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atasks_ng.words.errors import OptionError
from atasks_ng.words.options import TaskOptions, check_name, seconds

FIELDS = [field.name for field in dataclasses.fields(TaskOptions)]


def test_defaults_are_valid() -> None:
    assert TaskOptions.make({}) == TaskOptions()


def test_unknown_option_is_refused_and_the_known_are_named() -> None:
    with pytest.raises(OptionError) as caught:
        TaskOptions.make({"timout": 3})

    assert "'timout'" in str(caught.value)
    for name in FIELDS:
        assert name in str(caught.value)


def test_option_of_one_call_replaces_that_of_the_task() -> None:
    options = TaskOptions(timeout=30, queue="slow")

    changed = options.replace({"timeout": 1})

    assert (changed.timeout, changed.queue) == (1.0, "slow")
    assert options.timeout == 30.0


def test_what_the_task_is_cannot_be_changed_for_one_call() -> None:
    with pytest.raises(OptionError, match=r"\.options\(\) has no option 'executor'"):
        TaskOptions().replace({"executor": "loop"})


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (None, None),
        (0, 0.0),
        (3, 3.0),
        (0.5, 0.5),
        (datetime.timedelta(minutes=1, milliseconds=5), 60.005),
        (math.inf, None),
    ],
)
def test_duration_is_a_number_of_seconds(given: Any, meant: float | None) -> None:
    assert seconds("timeout", given) == meant


@pytest.mark.parametrize("given", ["3", True, math.nan, [3], b"3", 3j])
def test_what_is_no_duration_is_refused(given: Any) -> None:
    with pytest.raises(OptionError, match="timeout="):
        TaskOptions(timeout=given)


@pytest.mark.parametrize("name", ["a", "default", "gpu.large", "a-b_c", "x" * 100, "0"])
def test_name_that_can_be_a_routing_key_is_taken(name: str) -> None:
    assert check_name("queue", name) == name


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a/b", "a:b", "*", "#", "ż", "a\n", "x" * 101, None, 3, b"a"]
)
def test_name_that_cannot_be_a_routing_key_is_refused(name: Any) -> None:
    with pytest.raises(OptionError, match="queue="):
        check_name("queue", name)


@given(st.text())
def test_name_is_taken_or_refused_with_its_own_error(name: str) -> None:
    try:
        assert check_name("queue", name) == name
    except OptionError:
        return
    assert name.isascii()
    assert 0 < len(name) <= 100


@pytest.mark.parametrize("executor", ["fibre", "", 3, "LOOP"])
def test_executor_that_does_not_exist_is_refused(executor: Any) -> None:
    with pytest.raises(OptionError, match="use one of loop, thread"):
        TaskOptions(executor=executor)


@pytest.mark.parametrize("window", [0, -1, 65536, 1.0, True, "1", None])
def test_window_out_of_range_is_refused(window: Any) -> None:
    with pytest.raises(OptionError, match="window="):
        TaskOptions(window=window)


@pytest.mark.parametrize("ack", ["never", None, True])
def test_ack_that_does_not_exist_is_refused(ack: Any) -> None:
    with pytest.raises(OptionError, match="use 'late' or 'early'"):
        TaskOptions(ack=ack)


@pytest.mark.parametrize("attempts", [0, -1, 1.0, True, None])
def test_number_of_attempts_out_of_range_is_refused(attempts: Any) -> None:
    with pytest.raises(OptionError, match="max_attempts="):
        TaskOptions(max_attempts=attempts)


def test_options_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TaskOptions().queue = "other"  # type: ignore[misc]
