"""Cancelling reaches the body, wherever it runs, and the caller resumes when it has cleaned up."""

from __future__ import annotations

import asyncio
import time

import pytest

from . import tasks
from .worlds import World, until


async def started(key: str, count: int = 1) -> None:
    """Return when so many bodies of the test have said that they run."""

    async def enough() -> bool:
        return (await tasks.notes(key)).count("started") >= count

    await until(enough)


async def test_cancel_reaches_the_finally_block_before_the_caller_resumes(
    world: World, key: str
) -> None:
    call = asyncio.ensure_future(tasks.hang(key, 0.1))
    await started(key)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert "cleaned up" in await tasks.notes(key)


async def test_message_of_the_cancel_arrives_and_comes_back(world: World, key: str) -> None:
    call = asyncio.ensure_future(tasks.hang(key))
    await started(key)

    call.cancel("no longer needed")
    with pytest.raises(asyncio.CancelledError) as caught:
        await call

    assert caught.value.args == ("no longer needed",)
    assert "cancelled ('no longer needed',)" in await tasks.notes(key)


async def test_message_that_is_no_unicode_does_not_break_the_cancel(world: World, key: str) -> None:
    call = asyncio.ensure_future(tasks.hang(key))
    await started(key)

    call.cancel("caf\udce9")
    with pytest.raises(asyncio.CancelledError):
        await call

    assert "cleaned up" in await tasks.notes(key)


async def test_cancel_travels_to_nested_calls(world: World, key: str) -> None:
    call = asyncio.ensure_future(tasks.hang_in_child(key))
    await started(key)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert (await tasks.notes(key))[-2:] == ["cleaned up", "parent cleaned up"]


async def test_cancel_of_a_call_that_waits_for_a_slot_prevents_it(
    narrow_world: World, key: str
) -> None:
    holder = asyncio.ensure_future(tasks.hang(key))
    await asyncio.sleep(0)  # it is sent first
    queued = asyncio.ensure_future(tasks.wait_at_gate(key, "queued"))
    await asyncio.sleep(0.05)  # it is sent, and there is no slot for it

    queued.cancel()
    with pytest.raises(asyncio.CancelledError):
        await queued
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder

    assert "queued started" not in await tasks.notes(key)


async def test_cancel_in_the_step_of_the_call_prevents_it(world: World, key: str) -> None:
    call = asyncio.ensure_future(tasks.hang(key))
    await asyncio.sleep(0)  # it is posted in this step, and no further

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert (await tasks.notes(key)).count("started") == (await tasks.notes(key)).count("cleaned up")


async def test_cancel_before_the_first_step_sends_nothing(world: World, key: str) -> None:
    call = asyncio.ensure_future(tasks.hang(key))

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert await tasks.notes(key) == []


async def test_body_that_swallows_the_cancel_returns(world: World, key: str) -> None:
    call = asyncio.ensure_future(tasks.refuse_to_end(key))
    await started(key)

    call.cancel()

    assert await call == "not now"


async def test_body_that_converts_the_cancel_raises_what_it_raises(world: World, key: str) -> None:
    call = asyncio.ensure_future(tasks.convert_cancel(key))
    await started(key)

    call.cancel()

    with pytest.raises(ConnectionError, match="closed"):
        await call


async def test_timeout_around_a_call_cancels_it(world: World, key: str) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await tasks.hang(key)

    assert (await tasks.notes(key))[-1] == "cleaned up"


async def test_wait_for_cancels_the_call(world: World, key: str) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(tasks.hang(key), 0.1)

    assert (await tasks.notes(key))[-1] == "cleaned up"


async def test_failure_in_a_task_group_cancels_the_siblings(world: World, key: str) -> None:
    async def fail_when_others_run() -> None:
        await started(key, 2)
        await tasks.divide(1, 0)

    async def run_all() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(tasks.hang(key))
            group.create_task(tasks.hang(key))
            group.create_task(fail_when_others_run())

    with pytest.raises(ExceptionGroup) as caught:
        await run_all()

    assert [type(exc) for exc in caught.value.exceptions] == [ZeroDivisionError]
    assert (await tasks.notes(key)).count("cleaned up") == 2


async def test_shield_shields(world: World, key: str) -> None:
    inner = asyncio.ensure_future(tasks.pause(0.2, "done"))
    outer = asyncio.ensure_future(asyncio.shield(inner))
    await asyncio.sleep(0.05)

    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer

    assert await inner == "done"


async def test_second_cancel_interrupts_the_clean_up(world: World, key: str) -> None:
    call = asyncio.ensure_future(tasks.hang(key, tasks.LONG))
    await started(key)
    call.cancel()
    await until(lambda: _has_note(key, "cancelled ()"))

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert "cleaned up" not in await tasks.notes(key)


async def test_cancel_leaves_other_calls_alone(world: World, key: str) -> None:
    kept = asyncio.ensure_future(tasks.pause(0.2, "kept"))
    dropped = asyncio.ensure_future(tasks.hang(key))
    await started(key)

    dropped.cancel()

    assert await kept == "kept"
    with pytest.raises(asyncio.CancelledError):
        await dropped


async def test_cancelled_thread_does_not_hold_the_caller(world: World) -> None:
    call = asyncio.ensure_future(tasks.block(0.8))
    await asyncio.sleep(0.1)
    begun = time.monotonic()

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert time.monotonic() - begun < 0.5


async def test_abandoned_coroutine_cancels_its_call(near_world: World, key: str) -> None:
    coroutine = tasks.hang(key)
    task = asyncio.ensure_future(_step(coroutine))
    await until(lambda: "started" in tasks.journal[key])

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await until(lambda: "cleaned up" in tasks.journal[key])


async def _step(coroutine: object) -> None:
    await coroutine  # type: ignore[misc]


async def _has_note(key: str, text: str) -> bool:
    return text in await tasks.notes(key)
