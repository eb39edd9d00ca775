"""Deadlines: a call ends when its time is over, and the time travels with it."""

from __future__ import annotations

import asyncio
import datetime
import math
import time

import pytest

from atasks_ng import atask, timeout
from atasks_ng.words import errors

from . import tasks
from .worlds import World, until


async def test_timeout_of_the_options_ends_the_call(world: World, key: str) -> None:
    begun = time.monotonic()

    with pytest.raises(TimeoutError) as caught:
        await tasks.hang.options(timeout=0.2)(key)

    assert 0.15 < time.monotonic() - begun < 1
    assert isinstance(caught.value, errors.DeadlineError)
    assert caught.value.name == "tests.contract.tasks:hang"
    await until(lambda: _has_note(key, "cleaned up"))


async def test_timeout_of_the_decorator_ends_the_call(near_world: World) -> None:
    @atask(timeout=datetime.timedelta(milliseconds=100))
    async def sleepy() -> None:
        await asyncio.sleep(tasks.LONG)

    with pytest.raises(errors.DeadlineError, match=r"did not end within 0\.1 s"):
        await sleepy()


async def test_call_that_is_quick_enough_is_not_touched(world: World) -> None:
    assert await tasks.pause.options(timeout=30)(0.01, "done") == "done"


async def test_timeout_of_zero_ends_at_once(world: World, key: str) -> None:
    with pytest.raises(errors.DeadlineError):
        await tasks.wait_at_gate.options(timeout=0)(key)

    await tasks.add(1)
    assert "started" not in "".join(await tasks.notes(key))


async def test_body_sees_the_time_that_is_left(world: World) -> None:
    left = await tasks.time_left.options(timeout=20)()

    assert left is not None
    assert 10 < left <= 20


async def test_body_without_a_deadline_sees_none(world: World) -> None:
    assert await tasks.time_left() is None


async def test_nested_call_inherits_the_deadline(world: World) -> None:
    left = await tasks.relay.options(timeout=20)("time_left")

    assert left is not None
    assert 10 < left <= 20


async def test_deadline_ends_nested_calls_too(world: World, key: str) -> None:
    with pytest.raises(TimeoutError):
        await tasks.hang_in_child.options(timeout=0.2)(key)

    await until(lambda: _has_note(key, "parent cleaned up"))
    assert "cleaned up" in await tasks.notes(key)


async def test_call_that_expires_while_it_waits_never_starts(narrow_world: World, key: str) -> None:
    holder = asyncio.ensure_future(tasks.hang(key))
    await asyncio.sleep(0)  # it is sent first

    with pytest.raises(TimeoutError):
        await tasks.wait_at_gate.options(timeout=0.1)(key, "expired")

    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
    assert "expired started" not in await tasks.notes(key)


async def test_travelling_timeout_raises_timeout_error(world: World, key: str) -> None:
    with pytest.raises(TimeoutError):
        async with timeout(0.2):
            await tasks.hang(key)

    await until(lambda: _has_note(key, "cleaned up"))


async def test_clean_up_after_a_travelling_timeout_is_not_interrupted(
    world: World, key: str
) -> None:
    with pytest.raises(TimeoutError):
        async with timeout(0.1):
            # The deadline rings on both sides, and both tell the body to stop.
            await tasks.hang(key, 0.1)

    await until(lambda: _has_note(key, "cleaned up"))


async def test_travelling_timeout_reaches_the_body(world: World) -> None:
    async with timeout(20) as scope:
        left = await tasks.time_left()

    assert left is not None
    assert 10 < left <= 20
    assert not scope.expired()


async def test_nearest_of_several_deadlines_counts(world: World) -> None:
    async with timeout(100), timeout(20), timeout(50):
        left = await tasks.time_left.options(timeout=80)()

    assert left is not None
    assert 10 < left <= 20


async def test_travelling_timeout_of_none_sets_no_limit(world: World) -> None:
    async with timeout(None) as scope:
        left = await tasks.time_left()

    assert left is None
    assert scope.when() is None


async def test_calls_after_a_travelling_timeout_have_no_deadline(world: World) -> None:
    async with timeout(20):
        pass

    assert await tasks.time_left() is None


async def _has_note(key: str, text: str) -> bool:
    return text in await tasks.notes(key)


@pytest.mark.parametrize("seconds", [1e9, 1e18, 1e300, math.inf], ids=repr)
async def test_timeout_may_be_as_long_as_anybody_likes(world: World, seconds: float) -> None:
    async with timeout(seconds):
        assert await tasks.add.options(timeout=seconds)(1) == 2
