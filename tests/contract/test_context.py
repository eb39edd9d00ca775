"""Context variables: all of them within a process, those that were named over a network."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Iterator

import pytest

from atasks_ng import atask, propagate
from atasks_ng.core import context
from atasks_ng.words import errors

from . import tasks
from .worlds import World


@pytest.fixture(autouse=True)
def travelling() -> Iterator[None]:
    """Let the variable travel during this test."""
    before = dict(context._propagated)
    propagate(tasks.travelling)
    yield
    context._propagated.clear()
    context._propagated.update(before)


async def test_propagated_variable_reaches_the_body(coded_world: World) -> None:
    tasks.travelling.set("from the caller")

    assert (await tasks.read_variables())[0] == "from the caller"


async def test_propagated_variable_reaches_nested_calls(world: World) -> None:
    tasks.travelling.set("from the caller")

    assert (await tasks.read_in_child())[0] == "from the caller"


async def test_variable_without_a_value_stays_so(world: World) -> None:
    assert (await tasks.read_variables())[0] == "unset"


async def test_what_the_body_sets_comes_back(coded_world: World) -> None:
    await tasks.set_variables("from the body")

    assert tasks.travelling.get() == "from the body"


async def test_what_a_thread_sets_comes_back(world: World) -> None:
    await tasks.set_variables_in_thread("from the thread")

    assert tasks.travelling.get() == "from the thread"


async def test_what_a_failing_body_sets_comes_back(near_world: World) -> None:
    @atask
    async def set_and_fail() -> None:
        tasks.travelling.set("before the failure")
        raise LookupError

    with pytest.raises(LookupError):
        await set_and_fail()

    assert tasks.travelling.get() == "before the failure"


async def test_variable_changes_with_every_item_of_a_stream(streaming_world: World) -> None:
    tasks.travelling.set("start")
    seen = []

    async for item in tasks.stream_variables(3):
        seen.append((item, tasks.travelling.get()))  # noqa: PERF401  (it looks while it reads)

    assert seen == [("start", "item 0"), ("item 0", "item 1"), ("item 1", "item 2")]


async def test_other_variables_stay_at_home_over_a_network(world: World) -> None:
    tasks.staying.set("at home")

    seen = (await tasks.read_variables())[1]

    assert seen == ("at home" if world.place.transport == "loopback" else "unset")


async def test_every_variable_is_shared_on_loopback(loopback_world: World) -> None:
    tasks.staying.set("there")

    await tasks.set_variables("and back")

    assert tasks.staying.get() == "and back"


async def test_calls_of_two_tasks_do_not_mix_their_variables(world: World) -> None:
    async def call_with(value: str) -> str:
        tasks.travelling.set(value)
        return (await tasks.read_variables())[0]

    values = [f"value {number}" for number in range(20)]

    assert await asyncio.gather(*map(call_with, values)) == values


async def test_value_that_cannot_be_encoded_raises_at_the_call(near_world: World) -> None:
    tasks.travelling.set(tasks.Unfit())  # type: ignore[arg-type]

    with pytest.raises(errors.EncodeError):
        await tasks.add(1)

    assert near_world.router.pending == 0


def test_two_variables_of_one_name_are_refused() -> None:
    propagate(contextvars.ContextVar("tests_same_name"))

    with pytest.raises(errors.OptionError, match="'tests_same_name' is propagated already"):
        propagate(contextvars.ContextVar("tests_same_name"))
