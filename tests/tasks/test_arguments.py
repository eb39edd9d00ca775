"""Arguments: refused as Python refuses them, free to have any name, passed on as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from atasks_ng import atask


async def two(a: Any, b: Any) -> Any:
    return a, b


async def defaults(a: Any, b: Any = 2, *, c: Any = 3) -> Any:
    return a, b, c


async def positional(a: Any, /, b: Any) -> Any:
    return a, b


async def variadic(a: Any, *rest: Any, b: Any, **more: Any) -> Any:
    return a, rest, b, more


async def stream(a: Any) -> Any:
    yield a


def blocking(a: Any) -> Any:
    return a


WRONG: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = [
    (two, (), {}),
    (two, (1,), {}),
    (two, (1, 2, 3), {}),
    (two, (1,), {"a": 1}),
    (two, (1, 2), {"c": 3}),
    (two, (), {"b": 3}),
    (defaults, (), {}),
    (defaults, (1, 2, 3), {}),
    (defaults, (1,), {"d": 3}),
    (positional, (), {"a": 1, "b": 2}),
    (variadic, (), {}),
    (variadic, (1, 2), {}),
    (variadic, (1,), {"a": 1, "b": 2}),
    (stream, (), {}),
    (blocking, (1, 2), {}),
]


@pytest.mark.parametrize(("function", "args", "kwargs"), WRONG)
def test_wrong_arguments_are_refused_at_the_call_in_pythons_words(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], namespace: str
) -> None:
    task = atask(function, namespace=namespace)
    with pytest.raises(TypeError) as local:
        function(*args, **kwargs)

    with pytest.raises(TypeError) as remote:
        task(*args, **kwargs)

    assert remote.value.args == local.value.args


def test_wrong_arguments_of_a_method_are_refused_in_pythons_words(namespace: str) -> None:
    class Point:
        async def moved(self, by: int) -> None: ...

        task: Any = atask(moved, namespace=namespace)

    for args in [(), (1, 2)]:
        with pytest.raises(TypeError) as local:
            Point().moved(*args)
        with pytest.raises(TypeError) as remote:
            Point().task(*args)
        assert remote.value.args == local.value.args


def test_wrong_arguments_of_a_callable_are_refused(namespace: str) -> None:
    class Adder:
        async def __call__(self, x: int) -> None: ...

    task = atask(Adder(), namespace=namespace, name="adder")

    with pytest.raises(TypeError):
        task(1, 2)  # type: ignore[call-arg]


async def test_default_that_was_not_given_is_the_callees(connected: str) -> None:
    async def function(x: int = 1, *, y: int = 1) -> tuple[int, int]:
        return x, y

    task = atask(function, namespace=connected)
    # What a worker has that runs a newer release of the module.
    function.__defaults__ = (10,)
    function.__kwdefaults__ = {"y": 20}

    assert await task() == (10, 20)
    assert await task(1, y=2) == (1, 2)


async def test_parameters_may_have_any_name(connected: str) -> None:
    names = "self cls name timeout queue options namespace args kwargs task function call id codec"

    @atask(namespace=connected)
    async def function(**kwargs: Any) -> Any:
        return kwargs

    given = {name: number for number, name in enumerate(names.split())}

    assert await function(**given) == given


async def test_arguments_arrive_as_they_were_given(connected: str) -> None:
    task = atask(variadic, namespace=connected)

    assert await task(1, 2, 3, b=4, z=5, y=6) == (1, (2, 3), 4, {"z": 5, "y": 6})
