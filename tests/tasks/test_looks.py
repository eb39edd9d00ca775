"""A task looks like the function it was made of."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
import typing
from collections.abc import Callable
from typing import Any

import pytest

from atasks_ng import atask

from . import samples


async def plain(a: int, /, b: str = "x", *c: float, d: bool, e: int = 5, **f: Any) -> list[int]:
    """Document it."""
    return []


async def generator(n: int) -> typing.AsyncIterator[int]:
    """Generate."""
    yield n


def blocking(n: int) -> int:
    """Block."""
    return n


FUNCTIONS = [plain, generator, blocking]


@pytest.fixture(params=FUNCTIONS, ids=lambda function: function.__name__)
def pair(request: pytest.FixtureRequest, namespace: str) -> tuple[Any, Any]:
    """A function and the task made of it."""
    return request.param, atask(request.param, namespace=namespace)


@pytest.mark.parametrize(
    "attribute",
    [
        "__name__",
        "__qualname__",
        "__module__",
        "__doc__",
        "__annotations__",
        "__defaults__",
        "__kwdefaults__",
    ],
)
def test_attribute_is_that_of_the_function(pair: tuple[Any, Any], attribute: str) -> None:
    function, task = pair

    assert getattr(task, attribute) == getattr(function, attribute)


def test_signature_is_that_of_the_function(pair: tuple[Any, Any]) -> None:
    function, task = pair

    assert inspect.signature(task) == inspect.signature(function)
    assert str(inspect.signature(task)) == str(inspect.signature(function))
    assert typing.get_type_hints(task) == typing.get_type_hints(function)
    assert inspect.getsource(task) == inspect.getsource(function)


def test_wrapped_is_the_function(pair: tuple[Any, Any]) -> None:
    function, task = pair

    assert task.__wrapped__ is function
    assert inspect.unwrap(task) is function


def test_task_is_a_function(pair: tuple[Any, Any]) -> None:
    _, task = pair

    assert inspect.isfunction(task)
    assert inspect.isroutine(task)
    assert callable(task)
    assert not inspect.isgeneratorfunction(task)


@pytest.mark.parametrize(
    ("function", "is_coroutine", "is_generator"),
    [(plain, True, False), (generator, False, True), (blocking, True, False)],
)
def test_kind_is_as_callers_see_it(
    function: Callable[..., Any], is_coroutine: bool, is_generator: bool, namespace: str
) -> None:
    task: Any = atask(function, namespace=namespace)

    assert inspect.iscoroutinefunction(task) is is_coroutine
    assert asyncio.iscoroutinefunction(task) is is_coroutine
    assert inspect.isasyncgenfunction(task) is is_generator


def test_attributes_of_the_function_are_kept(namespace: str) -> None:
    async def function() -> None: ...

    function.colour = "blue"  # type: ignore[attr-defined]

    task: Any = atask(function, namespace=namespace)

    assert task.colour == "blue"


def test_method_is_bound(namespace: str) -> None:
    class Point:
        @atask(namespace=namespace)
        async def moved(self, by: int) -> int:
            return by

    point = Point()

    assert inspect.ismethod(point.moved)
    assert str(inspect.signature(point.moved)) == "(by: 'int') -> 'int'"
    assert inspect.iscoroutinefunction(point.moved)


def test_coroutine_is_named_like_the_function(namespace: str) -> None:
    coroutine: Any = atask(plain, namespace=namespace)(1, d=True)

    assert inspect.iscoroutine(coroutine)
    assert coroutine.__name__ == "plain"
    assert coroutine.__qualname__ == plain.__qualname__
    coroutine.close()


def test_generator_is_named_like_the_function(namespace: str) -> None:
    made: Any = atask(generator, namespace=namespace)(1)

    assert inspect.isasyncgen(made)
    assert made.__name__ == "generator"
    assert made.__qualname__ == generator.__qualname__


@pytest.mark.parametrize(
    "task", [samples.add, samples.count, samples.Numbers.double], ids=["add", "count", "method"]
)
def test_task_is_pickled_by_reference(task: Any) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(task, protocol)) is task


def test_task_is_copied_as_a_function_is() -> None:
    assert copy.copy(samples.add) is samples.add
    assert copy.deepcopy(samples.add) is samples.add


def test_options_give_a_task_that_looks_the_same() -> None:
    changed: Any = samples.add.options(timeout=5)

    assert changed is not samples.add
    assert changed.__name__ == "add"
    assert changed.__wrapped__ is samples.add.__wrapped__
    assert inspect.signature(changed) == inspect.signature(samples.add)
    assert inspect.iscoroutinefunction(changed)
