"""How much a worker tells of where a task failed is what its callers see."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import AsyncGenerator, Awaitable
from typing import Any

import pytest

from atasks_ng import atask
from atasks_ng.codecs import MsgpackCodec
from atasks_ng.words import errors

from . import tasks
from .worlds import World

NAMES, OFF = {"tracebacks": "names"}, {"tracebacks": "off"}


def telling(*options: dict[str, Any]) -> Any:
    """Run a test with routers that tell so much."""
    ids = [each.get("tracebacks", "default") for each in options]
    return pytest.mark.parametrize("router_options", options, ids=ids)


async def caught(awaitable: Awaitable[Any]) -> BaseException:
    """Return what an await raises."""
    try:
        result = await awaitable
    except BaseException as exc:
        return exc
    pytest.fail(f"no exception, but {result!r}")


def remote_frames(exc: BaseException | None) -> list[tuple[str, str, str | None]]:
    """Return file, function and source of the frames that a worker told: behind its name."""
    assert exc is not None
    frames = [
        (each.filename, each.name, each.line) for each in traceback.extract_tb(exc.__traceback__)
    ]
    begin = next(n for n, frame in enumerate(frames) if frame[0].startswith("<worker "))
    return frames[begin:]


def all_frames(exc: BaseException) -> list[tuple[str, str | None]]:
    """Return file and source of each frame of an exception and of all that it leads to."""
    found, todo, seen = [], [exc], set()
    while todo:
        each = todo.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        frames = traceback.extract_tb(each.__traceback__)
        found += [(frame.filename, frame.line) for frame in frames]
        todo += [near for near in (each.__cause__, each.__context__) if near is not None]
        todo += getattr(each, "exceptions", ())
    return found


def tells_files(exc: BaseException) -> bool:
    """Tell whether an exception shows the file of the tasks, or a source in a worker's name."""
    return any(
        file == tasks.__file__ or (file.startswith("<") and line) for file, line in all_frames(exc)
    )


@telling(NAMES)
async def test_names_and_lines_arrive_without_files_and_sources(near_world: World) -> None:
    exc = await caught(tasks.divide(1, 0))

    worker = f"<worker {near_world.router.name}>"
    name, body = remote_frames(exc)[0], remote_frames(exc)[-1]
    assert name == (worker, "tests.contract.tasks:divide", "")
    assert body == (worker, "divide", "")
    line = traceback.extract_tb(exc.__traceback__)[-1].lineno
    # The last line of the body.
    code = tasks.divide.__wrapped__.__code__  # type: ignore[attr-defined]
    assert line == max(number for _, _, number in code.co_lines() if number)


@telling(OFF)
async def test_off_leaves_one_frame_that_says_so(near_world: World) -> None:
    exc = await caught(tasks.divide(1, 0))

    place = f"<worker {near_world.router.name}, which does not tell where>"
    assert remote_frames(exc) == [(place, "tests.contract.tasks:divide", "")]
    assert type(exc) is ZeroDivisionError
    own = traceback.extract_tb(exc.__traceback__)[0]
    assert (own.name, own.line) == ("caught", "result = await awaitable")


@telling(NAMES, OFF)
@pytest.mark.parametrize(
    "task", [tasks.fail_with_cause, tasks.fail_while_handling, tasks.fail_with_group]
)
async def test_causes_contexts_and_members_are_told_no_better(near_world: World, task: Any) -> None:
    exc = await caught(task())

    assert not tells_files(exc)


@telling({})
@pytest.mark.parametrize(
    "task", [tasks.fail_with_cause, tasks.fail_while_handling, tasks.fail_with_group]
)
async def test_by_default_they_are_told_in_full(near_world: World, task: Any) -> None:
    exc = await caught(task())

    assert tells_files(exc)


@telling(NAMES, OFF)
async def test_nested_failures_are_told_no_better(near_world: World) -> None:
    exc = await caught(tasks.relay("relay", "divide", 1, 0))

    names = [name for _, name, _ in remote_frames(exc)]
    assert not tells_files(exc)
    if near_world.router.tracebacks == "names":
        assert names.count("relay") == 2
        assert names[-1] == "divide"
    else:
        assert names == ["tests.contract.tasks:relay"]


class Stubborn(MsgpackCodec):
    """Takes no failure but those that stand for others."""

    name = "MsgpackCodec"

    def encode(self, obj: Any) -> bytes:
        if type(obj) is dict and "errors" in obj and obj["errors"][0]["name"] != "RemoteError":
            raise errors.EncodeError("not that")
        return super().encode(obj)


class RemoteTraceback(Exception):
    """As process pools have it: its text is a traceback."""


@atask
async def fail_with_text_of_a_traceback() -> None:
    raise RemoteTraceback("return a / b")


@telling({}, NAMES, OFF)
async def test_text_that_stands_for_an_exception_is_no_traceback(near_world: World) -> None:
    Stubborn()

    exc = await caught(fail_with_text_of_a_traceback())

    assert isinstance(exc, errors.RemoteError)
    assert ("a / b" in exc.text) == (near_world.router.tracebacks == "full")


@telling(NAMES, OFF)
async def test_what_stands_for_an_exception_that_cannot_travel_is_told_no_better(
    near_world: World,
) -> None:
    Stubborn()

    exc = await caught(tasks.buy("tea", 3))

    assert isinstance(exc, errors.RemoteError)
    assert exc.text == "no 3 of tea"
    assert not tells_files(exc)
    does_not_tell = remote_frames(exc)[0][0].endswith("which does not tell where>")
    assert does_not_tell == (near_world.router.tracebacks == "off")


# -- async generators ----------------------------------------------------------------------------


@atask
async def stubborn() -> AsyncGenerator[int, None]:
    """Turn what is thrown in into another error."""
    try:
        yield 1
    except KeyError as exc:
        raise ValueError("turned") from exc


@telling(NAMES, OFF)
async def test_failure_of_a_generator_is_told_no_better(narrow_near_world: World) -> None:
    stream = stubborn()
    async with contextlib.aclosing(stream):
        await anext(stream)
        thrown = KeyError("thrown")
        exc = await caught(stream.athrow(thrown))

    assert repr(exc) == "ValueError('turned')"
    assert exc.__cause__ is thrown
    is_off = narrow_near_world.router.tracebacks == "off"
    assert [name for _, name, _ in remote_frames(exc)[1:]] == ([] if is_off else ["stubborn"])
    # What was thrown in has been through the body, too.
    lines = [each.line for each in traceback.extract_tb(thrown.__traceback__)]
    assert lines
    assert "yield 1" not in lines


@atask
async def told_by_the_caller() -> AsyncGenerator[Any, None]:
    """Yield the files that came with the cause of what is thrown in."""
    try:
        yield None
    except KeyError as exc:
        cause = exc.__cause__ or exc
        yield [type(cause), *(each.filename for each in traceback.extract_tb(cause.__traceback__))]


@telling({}, NAMES, OFF)
async def test_what_is_thrown_in_is_told_no_better(narrow_near_world: World) -> None:
    stream = told_by_the_caller()
    async with contextlib.aclosing(stream):
        await anext(stream)
        exc = KeyError("thrown")
        try:
            divmod(1, 0)
        except ZeroDivisionError as cause:
            exc.__cause__ = cause

        files = await stream.athrow(exc)

    how = narrow_near_world.router.tracebacks
    told = {"full": [__file__], "names": ["<caller>"], "off": []}[how]
    assert files == [ZeroDivisionError, *told]
