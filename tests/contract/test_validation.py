"""Arguments of wrong types: refused before they are sent, and by the worker if they come."""

from __future__ import annotations

from typing import Any

import pytest

from atasks_ng import errors
from atasks_ng.places.namespaces import namespaces
from atasks_ng.router import get_router

from . import tasks
from .worlds import World

SCALE: Any = tasks.scale
STREAM: Any = tasks.scale_stream


def unchecked(name: str, *args: Any, **kwargs: Any) -> Any:
    """Make a call as a program does that does not check."""
    task = namespaces.get("default").registry.get(f"{tasks.__name__}:{name}")
    assert task is not None
    make = get_router().stream if task.kind == "stream" else get_router().call
    return make(task, task.options, args, kwargs)


async def test_arguments_that_fit_arrive_as_themselves(exact_world: World, key: str) -> None:
    assert await tasks.scale(key, [1, True], by=2) == [2, 2]
    assert await tasks.scale_in_thread(key, [1, 2]) == 3


async def test_wrong_arguments_are_refused_at_the_call(world: World, key: str) -> None:
    with pytest.raises(TypeError) as caught:
        SCALE(key, [1, "2"], by="3")

    assert str(caught.value).splitlines()[1:] == [
        "  numbers: expected list[int], got list (item 1 is not an instance of int)",
        "  by: expected float | None, got str",
    ]
    assert await tasks.notes(key) == []


@pytest.mark.parametrize("name", ["scale", "scale_in_thread"])
async def test_worker_refuses_what_was_not_checked(world: World, key: str, name: str) -> None:
    with pytest.raises(TypeError) as caught:
        await unchecked(name, key, [1, "2"])

    # A failure of the call like any other of its body, and no error of the library.
    assert not isinstance(caught.value, errors.AtasksError)
    assert f"{name}() got arguments that do not fit its annotations:" in str(caught.value)
    assert await tasks.notes(key) == []
    assert await unchecked(name, key, [1, 2]) in ([1, 2], 3)


async def test_generator_refuses_at_the_call_and_on_the_worker(
    streaming_world: World, key: str
) -> None:
    with pytest.raises(TypeError, match="numbers: expected"):
        STREAM(key, "12")
    with pytest.raises(TypeError, match="numbers: expected"):
        await anext(unchecked("scale_stream", key, "12"))

    assert await tasks.notes(key) == []
    assert [number async for number in tasks.scale_stream(key, [1, 2])] == [1, 2]
