"""Every kind of function can be a task, and looks from outside like what it is."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from typing import Any

import pytest

from atasks_ng import atask
from atasks_ng.words import errors

from . import tasks
from .worlds import World

# -- where bodies run ----------------------------------------------------------------------------


async def test_plain_function_runs_in_a_thread(world: World) -> None:
    assert (await tasks.name_of_thread()).startswith("atasks_ng")


async def test_function_that_promises_an_awaitable_runs_on_the_loop(world: World) -> None:
    assert await tasks.promises() == threading.main_thread().name


async def test_function_sent_to_the_loop_runs_there(world: World) -> None:
    assert await tasks.on_the_loop() == threading.main_thread().name


async def test_coroutine_returned_by_a_plain_function_is_awaited(world: World) -> None:
    assert await tasks.returns_coroutine() == threading.main_thread().name


async def test_plain_functions_run_side_by_side(world: World) -> None:
    names = await asyncio.gather(*[tasks.block(0.05) for _ in range(4)])

    assert len(set(names)) > 1


# -- methods -------------------------------------------------------------------------------------


async def test_static_method_is_a_task(world: World) -> None:
    assert await tasks.Account.currency() == "EUR"
    assert await tasks.Account.symbol() == "€"


async def test_method_travels_with_its_instance(pickling_world: World) -> None:
    assert await tasks.Account(10).interest(3) == 60


async def test_method_of_an_instance_that_cannot_travel_says_so(world: World) -> None:
    with pytest.raises(errors.EncodeError, match="Account"):
        await tasks.Account(10).interest(3)


async def test_class_method_travels_with_its_class(pickling_world: World) -> None:
    assert await tasks.Account.rate_of(3) == 6
    assert await tasks.Account.name_of() == "Account"


# -- what tasks look like ------------------------------------------------------------------------


def test_task_shows_name_signature_and_documentation() -> None:
    assert tasks.add.__name__ == "add"
    assert tasks.add.__qualname__ == "add"
    assert tasks.add.__doc__ == "Add numbers."
    assert tasks.add.__module__ == tasks.__name__
    assert str(inspect.signature(tasks.add)) == "(a: 'int', b: 'int' = 1, *, c: 'int' = 0) -> 'int'"


def test_task_is_a_coroutine_function() -> None:
    assert inspect.iscoroutinefunction(tasks.add)
    assert inspect.iscoroutinefunction(tasks.block)  # as its callers see it
    assert not inspect.isasyncgenfunction(tasks.add)


def test_stream_is_an_async_generator_function() -> None:
    assert inspect.isasyncgenfunction(tasks.count_up)
    assert not inspect.iscoroutinefunction(tasks.count_up)


async def test_original_runs_without_the_network() -> None:
    assert await tasks.add.__wrapped__(1, 2) == 3
    assert tasks.block.__wrapped__(0) == threading.current_thread().name


@pytest.mark.parametrize(
    ("args", "kwargs", "sentence"),
    [
        ((), {}, "add() missing 1 required positional argument: 'a'"),
        ((1, 2, 3), {}, "add() takes from 1 to 2 positional arguments but 3 were given"),
        ((1,), {"d": 1}, "add() got an unexpected keyword argument 'd'"),
        ((1,), {"a": 1}, "add() got multiple values for argument 'a'"),
    ],
)
def test_wrong_arguments_raise_what_python_raises(
    args: tuple[Any, ...], kwargs: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(TypeError) as local:
        tasks.add.__wrapped__(*args, **kwargs)
    with pytest.raises(TypeError) as caught:
        tasks.add(*args, **kwargs)

    assert str(caught.value) == str(local.value) == sentence


async def test_partial_of_a_task_works(world: World) -> None:
    assert await functools.partial(tasks.add, 1, c=5)(2) == 8


# -- defining ------------------------------------------------------------------------------------


async def test_task_made_by_a_call_runs_under_its_name(near_world: World) -> None:
    async def double(x: int) -> int:
        return 2 * x

    task = atask(double, name="made:double")

    assert await task(4) == 8
    assert task.__wrapped__ is double


async def test_partial_can_be_a_task(near_world: World) -> None:
    async def multiply(x: int, y: int) -> int:
        return x * y

    triple = atask(functools.partial(multiply, 3), name="made:triple")

    assert await triple(4) == 12


def test_name_of_another_function_is_refused_and_both_places_are_named() -> None:
    @atask(name="claimed:twice")
    async def first() -> None:
        """The one that was there before."""

    async def second() -> None:
        """Another one."""

    with pytest.raises(errors.RegisteredTwiceError) as caught:
        atask(second, name="claimed:twice")

    assert str(caught.value).count(f"{__file__}:") == 2
    assert "@atask(name=...)" in str(caught.value)


def test_same_function_may_be_defined_again() -> None:
    def define() -> Any:
        @atask(name="defined:again")
        async def f() -> int:
            return 1

        return f

    assert define() is not define()


def test_name_may_be_used_in_two_namespaces() -> None:
    @atask(name="shared:name", namespace="first")
    async def one() -> None:
        """In one namespace."""

    @atask(name="shared:name", namespace="second")
    async def two() -> None:
        """In another one."""


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"timout": 3}, "'timout'"),
        ({"timeout": "3"}, "timeout='3'"),
        ({"executor": "fibre"}, "executor='fibre'"),
        ({"queue": "a b"}, "queue='a b'"),
        ({"namespace": ""}, "namespace=''"),
        ({"window": 0}, "window=0"),
    ],
)
def test_wrong_option_is_refused_and_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(errors.OptionError) as caught:
        atask(**options)

    assert named in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_something_that_cannot_be_called_is_no_task() -> None:
    with pytest.raises(TypeError, match="needs a function"):
        atask(3)  # type: ignore[call-overload]
