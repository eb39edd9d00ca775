"""What can be a task, and what its calls are before and after they are awaited."""

from __future__ import annotations

import asyncio
import functools
import threading
import types
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from atasks_ng import atask, errors


async def double(x: int) -> int:
    return 2 * x


# -- what can be a task ------------------------------------------------------------------------


async def test_call_of_atask_makes_a_task_and_leaves_the_function(connected: str) -> None:
    task = atask(double, namespace=connected, name="doubled")

    assert await task(2) == 4
    assert task.__wrapped__ is double


async def test_partial_of_a_task_is_called_like_it(connected: str) -> None:
    task = atask(double, namespace=connected)

    assert await functools.partial(task, 2)() == 4


async def test_partial_can_be_a_task(connected: str) -> None:
    task = atask(functools.partial(double, 2), namespace=connected)

    assert await task() == 4


async def test_callable_object_can_be_a_task(connected: str) -> None:
    class Adder:
        async def __call__(self, x: int) -> int:
            return x + 1

    task = atask(Adder(), namespace=connected, executor="loop")

    assert await task(2) == 3


@pytest.mark.parametrize("annotation", [Awaitable[int], Coroutine[Any, Any, int], asyncio.Future])
async def test_plain_function_that_promises_an_awaitable_runs_on_the_loop(
    annotation: Any, connected: str
) -> None:
    def function(x: int) -> Any:
        threads.append(threading.current_thread())
        return asyncio.ensure_future(double(x))

    function.__annotations__["return"] = annotation
    threads: list[threading.Thread] = []
    task = atask(function, namespace=connected)

    assert await task(2) == 4
    assert threads == [threading.current_thread()]


async def test_plain_function_runs_in_a_thread(connected: str) -> None:
    @atask(namespace=connected)
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert await where() is False


async def test_coroutine_of_types_can_be_a_task(connected: str) -> None:
    @types.coroutine
    def function(x: int) -> Any:
        yield from asyncio.sleep(0).__await__()
        return x

    task = atask(function, namespace=connected, executor="loop")

    assert await task(2) == 2


async def test_decorator_below_runs_on_the_worker(connected: str) -> None:
    def twice(function: Callable[[int], Awaitable[int]]) -> Callable[[int], Awaitable[int]]:
        @functools.wraps(function)
        async def wrapper(x: int) -> int:
            return await function(x) + await function(x)

        return wrapper

    task = atask(twice(double), namespace=connected)

    assert await task(2) == 8


async def test_decorator_above_runs_at_the_caller(connected: str) -> None:
    task = atask(double, namespace=connected)

    @functools.wraps(task)
    async def wrapper(x: int) -> int:
        return await task(x) + 1

    assert await wrapper(2) == 5


async def test_static_method_can_be_decorated_above_and_below(connected: str) -> None:
    class Numbers:
        @staticmethod
        @atask(namespace=connected)
        async def above(x: int) -> int:
            return x

        @atask(namespace=connected)
        @staticmethod
        async def below(x: int) -> int:
            return x

    assert isinstance(vars(Numbers)["below"], staticmethod)
    assert [await Numbers.above(1), await Numbers().above(2)] == [1, 2]
    assert [await Numbers.below(3), await Numbers().below(4)] == [3, 4]


def test_class_method_stays_one(namespace: str) -> None:
    class Numbers:
        @atask(namespace=namespace)
        @classmethod
        async def make(cls) -> None: ...

    assert isinstance(vars(Numbers)["make"], classmethod)


@pytest.mark.parametrize("thing", [3, "f", None, object()])
def test_what_cannot_be_called_is_refused(thing: Any, namespace: str) -> None:
    decorate: Any = atask(namespace=namespace)

    with pytest.raises(TypeError, match="needs a function"):
        decorate(thing)


# -- names -------------------------------------------------------------------------------------


async def test_two_functions_of_one_name_are_refused(namespace: str) -> None:
    async def other() -> None: ...

    atask(double, namespace=namespace, name="same")

    with pytest.raises(errors.RegisteredTwiceError, match="same"):
        atask(other, namespace=namespace, name="same")


async def test_one_function_can_be_made_a_task_again(connected: str) -> None:
    first = atask(double, namespace=connected)
    second = atask(double, namespace=connected)

    assert [await first(1), await second(2)] == [2, 4]


async def test_names_of_two_namespaces_do_not_meet(namespace: str) -> None:
    async def other() -> None: ...

    atask(double, namespace=namespace, name="same")
    atask(other, namespace=f"{namespace}-b", name="same")


# -- options -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"speed": 3},
        {"timeout": "soon"},
        {"timeout": True},
        {"queue": "no spaces, please"},
        {"executor": "moon"},
        {"window": 0},
        {"namespace": ""},
        {"ack": "never"},
        {"max_attempts": 0},
    ],
    ids=str,
)
def test_wrong_option_is_refused_where_it_is_written(options: Any) -> None:
    with pytest.raises(errors.OptionError, match=next(iter(options))):
        atask(**options)


@pytest.mark.parametrize("options", [{"speed": 3}, {"name": "n"}, {"executor": "loop"}], ids=str)
def test_option_that_is_not_of_a_call_is_refused(options: Any, namespace: str) -> None:
    task = atask(double, namespace=namespace)

    with pytest.raises(errors.OptionError, match=next(iter(options))):
        task.options(**options)


async def test_option_of_a_call_changes_that_call_only(connected: str) -> None:
    @atask(namespace=connected)
    async def hang() -> None:
        await asyncio.Event().wait()

    quick = hang.options(timeout=0.01)

    with pytest.raises(TimeoutError):
        await quick()
    running = asyncio.ensure_future(hang())
    with pytest.raises(TimeoutError):
        await quick()
    assert not running.done()
    running.cancel()
    await asyncio.wait([running])


# -- coroutines --------------------------------------------------------------------------------


def test_call_that_is_never_awaited_warns(namespace: str) -> None:
    task = atask(double, namespace=namespace)

    with pytest.warns(RuntimeWarning, match="coroutine 'double' was never awaited"):
        task(2)


async def test_call_that_is_awaited_twice_fails_as_a_coroutine_does(connected: str) -> None:
    called = atask(double, namespace=connected)(2)

    assert await called == 4
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        await called


async def test_call_that_was_closed_does_nothing(connected: str) -> None:
    called = atask(double, namespace=connected)(2)

    called.close()

    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        await called


async def test_call_without_a_connection_says_how_to_connect(namespace: str) -> None:
    task = atask(double, namespace=namespace)

    with pytest.raises(errors.NotConnectedError, match="connect"):
        await task(2)


async def test_call_is_independent_of_what_was_mutated_after_it(connected: str) -> None:
    @atask(namespace=connected)
    async def length(xs: list[int]) -> int:
        return len(xs)

    xs = [1]
    running = asyncio.ensure_future(length(xs))
    await asyncio.sleep(0)
    xs.append(2)

    assert await running == 1
