"""``validate=True``: where names are looked up, where arguments are checked, what that needs."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from atasks_ng import atask
from atasks_ng.places.namespaces import namespaces
from atasks_ng.router import get_router
from atasks_ng.words.errors import OptionError
from tests.tasks.validating import refused

Json = dict[str, "Json"] | list["Json"] | None


def task_of(annotation: Any, namespace: str) -> Any:
    async def function(x: Any) -> Any:
        return x

    function.__annotations__["x"] = annotation
    return atask(function, namespace=namespace, validate=True)


# -- names ---------------------------------------------------------------------------------------


async def test_names_are_looked_up_at_the_first_call(namespace: str) -> None:
    task = task_of("Later", namespace)

    class LaterClass: ...

    globals()["Later"] = LaterClass
    try:
        task(LaterClass()).close()
        assert "expected Later, got int" in refused(task, 1)[0]
    finally:
        del globals()["Later"]


async def test_names_of_the_function_around_are_known_if_it_uses_them(namespace: str) -> None:
    class Inner: ...

    @atask(namespace=namespace, validate=True)
    async def call(x: Inner) -> None:
        assert isinstance(x, Inner)

    wrong: Any = call

    call(Inner()).close()
    assert refused(wrong, 1) == ["x: expected Inner, got int"]


@pytest.mark.parametrize("text", ["Missing", "list[Missing]", "np.ndarray", "1 +", "in metres"])
async def test_annotation_without_a_meaning_is_skipped_with_one_warning(
    text: str, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def call(x: Any, y: int) -> None: ...

    call.__annotations__["x"] = text
    task: Any = atask(call, namespace=namespace, validate=True)
    assert caplog.records == []

    for _ in range(2):
        task(1, 2).close()
        assert refused(task, 1, "2") == ["y: expected int, got str"]
    task.options(timeout=1)(1, 2).close()

    (record,) = caplog.records
    assert record.name == "atasks_ng.validation"
    assert record.levelno == logging.WARNING
    assert f"argument 'x' is not checked, as its annotation {text!r}" in record.getMessage()


async def test_function_without_a_signature_is_not_checked_with_one_warning(
    namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd:
        __signature__ = "none"

        async def __call__(self, x: int) -> None: ...

    task: Any = atask(Odd(), namespace=namespace, name="odd", validate=True)

    for _ in range(2):
        task("1").close()

    (record,) = caplog.records
    assert "its arguments are not checked" in record.getMessage()


async def test_value_that_breaks_the_check_is_refused(namespace: str) -> None:
    value: Any = []
    for _ in range(10_000):
        value = [value]
    task = task_of("Json", namespace)

    (line,) = refused(task, value)

    assert "it cannot be checked: RecursionError" in line
    task([]).close()


# -- at the call, at the worker --------------------------------------------------------------------


async def echo(value: int, *, items: list[Any] | None = None) -> Any:
    return value, items


async def test_nothing_is_sent_when_arguments_are_wrong(connected: str) -> None:
    task: Any = atask(echo, namespace=connected, validate=True)

    with pytest.raises(TypeError, match="value: expected int, got str"):
        task("1")

    assert get_router(connected).performed == 0
    assert await task(1) == (1, None)
    assert get_router(connected).performed == 1


async def test_arguments_arrive_as_they_were_given(connected: str) -> None:
    @atask(namespace=connected, validate=True)
    async def types_of(x: float, y: complex, z: bytes) -> list[str]:
        return [type(each).__name__ for each in (x, y, z)]

    assert await types_of(1, True, bytearray()) == ["int", "bool", "bytearray"]


@pytest.mark.parametrize("kind", ["coroutine", "plain", "loop", "generator"])
async def test_worker_refuses_what_a_caller_did_not_check(connected: str, kind: str) -> None:
    ran = []

    async def coroutine(x: int) -> None:
        ran.append(x)

    def plain(x: int) -> Any:
        ran.append(x)
        return asyncio.sleep(0) if kind == "loop" else None

    async def generator(x: int) -> AsyncIterator[int]:
        ran.append(x)
        yield x

    functions = {"coroutine": coroutine, "plain": plain, "loop": plain, "generator": generator}
    options: Any = {"executor": "loop"} if kind == "loop" else {}
    made: Any = atask(
        functions[kind], namespace=connected, name="checked", validate=True, **options
    )

    with pytest.raises(TypeError, match="x: expected int, got str") as caught:
        await unchecked("checked", connected, "1")

    assert ran == []
    assert type(caught.value) is TypeError
    assert "typeguard" not in "".join(map(repr, _frames(caught.value)))
    await unchecked("checked", connected, 1)
    assert ran == [1]
    assert inspect.unwrap(made) is functions[kind]


async def unchecked(name: str, namespace: str, *args: Any) -> None:
    """Make a call as a program would that does not check."""
    router = get_router(namespace)
    task = namespaces.get(namespace).registry.get(name)
    assert task is not None
    if task.kind == "stream":
        async for _ in router.stream(task, task.options, args, {}):
            pass
    else:
        await router.call(task, task.options, args, {})


def _frames(exc: BaseException) -> list[str]:
    tb, found = exc.__traceback__, []
    while tb is not None:
        found.append(tb.tb_frame.f_code.co_filename)
        tb = tb.tb_next
    return found


async def test_generator_is_refused_when_it_is_made(connected: str) -> None:
    @atask(namespace=connected, validate=True)
    async def count(n: int) -> AsyncIterator[int]:
        for number in range(n):
            yield number

    wrong: Any = count

    with pytest.raises(TypeError, match="n: expected int"):
        wrong("3")
    assert [number async for number in count(3)] == [0, 1, 2]


async def test_task_looks_as_without(namespace: str) -> None:
    plain, checking = (
        atask(echo, namespace=f"{namespace}{flag}", validate=flag) for flag in (False, True)
    )

    assert checking.__wrapped__ is plain.__wrapped__ is echo
    assert inspect.signature(checking) == inspect.signature(plain)
    assert inspect.iscoroutinefunction(checking)
    assert checking.__name__ == "echo"


async def test_module_imported_twice_defines_no_other_task(namespace: str) -> None:
    for _ in range(2):
        atask(echo, namespace=namespace, validate=True)


# -- the option ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1, None, "all"], ids=str)
def test_option_is_a_bool(value: Any, namespace: str) -> None:
    with pytest.raises(OptionError, match="validate"):
        atask(echo, namespace=namespace, validate=value)


def test_option_belongs_to_the_definition(namespace: str) -> None:
    task: Any = atask(echo, namespace=namespace)

    with pytest.raises(OptionError, match="no option 'validate'"):
        task.options(validate=True)


def test_missing_package_is_named_with_its_extra(
    namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "typeguard", None)

    with pytest.raises(OptionError, match=r"typeguard: pip install 'atasks_ng\[validate\]'"):
        atask(echo, namespace=namespace, validate=True)
    atask(echo, namespace=namespace, name="other")
