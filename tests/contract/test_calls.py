"""Calls that call, calls at once, and what a body knows about its own call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from atasks_ng import current_call
from atasks_ng.transport import get_transport
from atasks_ng.words import errors, hooks

from . import tasks
from .worlds import World, until


async def test_gather_of_many_gives_every_value(world: World) -> None:
    results = await asyncio.gather(*[tasks.add(number) for number in range(1000)])

    assert results == list(range(1, 1001))


async def test_gather_can_collect_exceptions(world: World) -> None:
    results = await asyncio.gather(
        tasks.divide(1, 2), tasks.divide(1, 0), tasks.echo("x"), return_exceptions=True
    )

    assert results[0] == 0.5
    assert isinstance(results[1], ZeroDivisionError)
    assert results[2] == "x"


async def test_task_group_collects_results(world: World) -> None:
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(tasks.add(number, number)) for number in range(5)]

    assert [call.result() for call in calls] == [0, 2, 4, 6, 8]


async def test_as_completed_yields_the_quick_one_first(world: World) -> None:
    calls = [tasks.pause(0.2, "slow"), tasks.pause(0, "quick")]

    results = [await call for call in asyncio.as_completed(calls)]

    assert results == ["quick", "slow"]


async def test_call_is_not_sent_before_it_is_awaited(world: World, key: str) -> None:
    call = tasks.wait_at_gate(key)

    await tasks.add(1)

    assert await tasks.notes(key) == []
    call.close()


# -- nested --------------------------------------------------------------------------------------


async def test_nested_calls_need_no_second_slot(narrow_world: World) -> None:
    assert await tasks.descend(50) == 50


async def test_tree_of_calls_needs_no_second_slot(narrow_world: World) -> None:
    assert await tasks.fibonacci(8) == 21


async def test_many_trees_at_once_need_no_second_slot(narrow_world: World) -> None:
    results = await asyncio.gather(*[tasks.fibonacci(5) for _ in range(10)])

    assert results == [5] * 10


async def test_calls_from_several_lines_of_one_body_end(narrow_world: World, key: str) -> None:
    bodies = [tasks.hold_two_lines(key, 10) for _ in range(4)]

    assert await asyncio.gather(*bodies) == [135] * 4


async def test_slot_is_free_again_after_every_kind_of_end(narrow_world: World, key: str) -> None:
    await asyncio.gather(
        *[tasks.hold_two_lines(key, 3) for _ in range(3)],
        tasks.relay("divide", 1, 0),
        tasks.relay("no such task"),
        return_exceptions=True,
    )
    hanging = asyncio.ensure_future(tasks.hang_in_child(key))
    await asyncio.sleep(0.05)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging

    # One slot: two at once would show that one was given twice, a hang that one was lost.
    together = await asyncio.gather(*[tasks.count_together(key) for _ in range(10)])

    assert together == [1] * 10


async def test_slots_limit_how_many_run(narrow_world: World, key: str) -> None:
    together = await asyncio.gather(*[tasks.count_together(key) for _ in range(30)])

    assert max(together) == 1


async def test_more_slots_let_more_run(world: World, key: str) -> None:
    together = await asyncio.gather(*[tasks.count_together(key) for _ in range(300)])

    assert 1 < max(together) <= 100


async def test_exception_of_a_nested_call_can_be_handled(world: World) -> None:
    with pytest.raises(ZeroDivisionError):
        await tasks.relay("relay", "divide", 1, 0)

    assert await tasks.add(1) == 2


# -- what a body knows ---------------------------------------------------------------------------


async def test_current_call_is_none_outside_of_tasks(world: World) -> None:
    await tasks.echo(1)

    assert current_call() is None


async def test_current_call_describes_a_root_call(world: World) -> None:
    seen = await tasks.describe()

    assert len(seen["id"]) == 32
    assert seen["worker"]
    expected = {
        "task": "tests.contract.tasks:describe",
        "namespace": "default",
        "queue": "default",
        "parent": None,
        "root": seen["id"],
        "depth": 0,
        "attempt": 1,
        "has_deadline": False,
    }
    assert {name: seen[name] for name in expected} == expected


async def test_current_call_of_a_nested_call_knows_its_parents(world: World) -> None:
    child, parent = await tasks.describe_with_child()

    assert child["depth"] == 1
    assert child["parent"] == child["root"] == parent["id"]
    assert child["id"] != parent["id"]


async def test_every_call_has_its_own_id(world: World) -> None:
    seen = await asyncio.gather(*[tasks.describe() for _ in range(50)])

    assert len({call["id"] for call in seen}) == 50


async def test_records_tell_of_a_call_and_its_end(near_world: World) -> None:
    heard: list[Any] = []
    stop = hooks.listen(heard.append)

    await tasks.add(1)

    await until(lambda: any(type(record) is hooks.CallPerformed for record in heard))
    stop()
    kinds = [type(record) for record in heard]
    assert kinds == [hooks.CallSent, hooks.CallStarted, hooks.CallPerformed]
    assert {record.id for record in heard} == {heard[0].id}
    assert heard[-1].outcome == "value"


# -- options of one call -------------------------------------------------------------------------


async def test_options_make_another_function_of_the_same_task(world: World) -> None:
    patient = tasks.add.options(timeout=30)

    assert await patient(1, c=3) == 5
    assert patient is not tasks.add
    assert patient.__wrapped__ is tasks.add.__wrapped__


@pytest.mark.parametrize("options", [{"priority_": 1}, {"executor": "thread"}, {"name": "x"}])
def test_unknown_option_of_a_call_is_refused_and_the_known_are_named(
    options: dict[str, Any],
) -> None:
    with pytest.raises(errors.OptionError) as caught:
        tasks.add.options(**options)

    assert repr(*options) in str(caught.value)
    assert "timeout" in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"timeout": "soon"}, {"timeout": True}, {"queue": "no spaces"}, {"window": 0}]
)
def test_option_out_of_range_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(errors.OptionError, match=f"{next(iter(options))}="):
        tasks.add.options(**options)


async def test_call_goes_to_the_queue_of_its_options(near_world: World) -> None:
    await near_world.router.deactivate(0)
    transport = get_transport()
    assert transport is not None
    await near_world.router.activate(transport, queues=["default", "other"])

    seen = await tasks.describe.options(queue="other")()

    # A user's transport in its short form knows no queues.
    assert seen["queue"] == ("default" if near_world.place.transport == "own" else "other")
