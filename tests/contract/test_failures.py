"""What a task raises is what its caller gets, and no failure of the library lets an await hang."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable
from typing import Any

import pytest

from atasks_ng import atask
from atasks_ng.codecs import JsonCodec
from atasks_ng.places.namespaces import namespaces
from atasks_ng.router import Router
from atasks_ng.words import errors

from . import tasks
from .worlds import World


async def caught(awaitable: Awaitable[Any]) -> BaseException:
    """Return what an await raises, which must be in less than a second."""
    begun = time.monotonic()
    try:
        result = await awaitable
    except BaseException as exc:
        assert time.monotonic() - begun < 1
        return exc
    pytest.fail(f"no exception, but {result!r}")


# -- exceptions of the body ----------------------------------------------------------------------


async def test_exception_arrives_with_class_and_arguments(coded_world: World) -> None:
    exc = await caught(tasks.divide(1, 0))

    assert type(exc) is ZeroDivisionError
    assert exc.args in (("float division by zero",), ("division by zero",))


async def test_exception_of_a_user_arrives_with_attributes(coded_world: World) -> None:
    exc = await caught(tasks.buy("tea", 3))

    assert isinstance(exc, tasks.OutOfStock)
    assert exc.args == ("no 3 of tea",)
    assert (exc.item, exc.wanted) == ("tea", 3)


async def test_exception_arrives_with_notes(coded_world: World) -> None:
    exc = await caught(tasks.fail_with_notes())

    assert exc.__notes__ == ["first", "second"]


async def test_exception_arrives_with_its_cause(coded_world: World) -> None:
    exc = await caught(tasks.fail_with_cause())

    assert repr(exc) == "RuntimeError('above')"
    assert repr(exc.__cause__) == "KeyError('below')"
    assert exc.__suppress_context__


async def test_exception_arrives_with_its_context(coded_world: World) -> None:
    exc = await caught(tasks.fail_while_handling())

    assert repr(exc.__context__) == "KeyError('first')"
    assert exc.__cause__ is None


async def test_context_of_the_callee_wins_over_that_of_the_caller(world: World) -> None:
    try:
        raise OSError("what the caller is handling")
    except OSError:
        exc = await caught(tasks.fail_while_handling())

    assert repr(exc.__context__) == "KeyError('first')"


async def test_what_the_caller_handles_is_the_context_of_a_plain_failure(world: World) -> None:
    handled = OSError("what the caller is handling")

    try:
        raise handled
    except OSError:
        exc = await caught(tasks.divide(1, 0))

    assert exc.__context__ is handled


async def test_group_arrives_with_its_members(coded_world: World) -> None:
    exc = await caught(tasks.fail_with_group())

    assert type(exc) is ExceptionGroup
    assert exc.message == "both"
    assert repr(exc.exceptions[0]) == "ValueError(1)"
    assert repr(exc.exceptions[1]) == "ExceptionGroup('inner', [KeyError('k')])"


async def test_traceback_shows_the_frames_of_the_callee(coded_world: World) -> None:
    exc = await caught(tasks.divide(1, 0))

    frames = traceback.extract_tb(exc.__traceback__)
    assert frames[-1].name == "divide"
    assert frames[-1].line == "return a / b"
    assert frames[-1].filename == tasks.__file__
    assert any(frame.filename.startswith("<worker ") for frame in frames)


async def test_traceback_shows_the_frames_of_a_nested_call(world: World) -> None:
    exc = await caught(tasks.relay("divide", 1, 0))

    names = [frame.name for frame in traceback.extract_tb(exc.__traceback__)]
    assert names.index("relay") < names.index("divide")


async def test_exception_in_a_thread_arrives(world: World) -> None:
    assert type(await caught(tasks.divide_in_thread(1, 0))) is ZeroDivisionError


async def test_stop_iteration_in_a_thread_arrives_as_runtime_error(world: World) -> None:
    # A coroutine cannot raise it: Python makes a RuntimeError of it.
    assert type(await caught(tasks.stop_iteration())) is RuntimeError


async def test_local_class_arrives_as_itself_from_the_same_process(near_world: World) -> None:
    exc = await caught(tasks.fail_with_local_class())

    assert type(exc).__qualname__ == "fail_locally.<locals>.Local"
    assert exc.args == ("from inside", 7)


@pytest.mark.parametrize("name", tasks.EXITS)
async def test_exit_raised_by_the_body_reaches_its_caller_only(world: World, name: str) -> None:
    exc = await caught(tasks.leave(name))

    assert type(exc) is tasks.EXITS[name]
    assert exc.args == ("bye",)
    assert await tasks.add(1, 1) == 2


async def test_text_that_is_no_unicode_arrives(exact_world: World) -> None:
    exc = await caught(tasks.fail_with_text("caf\udce9"))

    assert exc.args == ("caf\udce9",)


async def test_exception_passes_through_nested_calls_unchanged(world: World) -> None:
    exc = await caught(tasks.relay("relay", "buy", "tea", 3))

    assert isinstance(exc, tasks.OutOfStock)
    assert (exc.item, exc.wanted) == ("tea", 3)


# -- exceptions that cannot be written down ------------------------------------------------------


@pytest.mark.parametrize("unspeakable", [False, True])
async def test_argument_that_no_codec_takes_does_not_hide_the_exception(
    coded_world: World, unspeakable: bool
) -> None:
    exc = await caught(tasks.fail_with_unfit(unspeakable))

    assert isinstance(exc, ValueError | errors.RemoteError)
    assert "carries" in str(exc)
    assert await tasks.add(1, 1) == 2


async def test_exception_whose_text_fails_arrives(coded_world: World) -> None:
    exc = await caught(tasks.fail_mute())

    assert type(exc) is tasks.Mute


async def test_exception_without_arguments_arrives(coded_world: World) -> None:
    exc = await caught(tasks.fail_shapeless())

    assert isinstance(exc, tasks.Shapeless | errors.RemoteError)
    assert await tasks.add(1, 1) == 2


# -- what the library refuses --------------------------------------------------------------------


async def test_argument_that_cannot_be_encoded_raises_at_the_call(coded_world: World) -> None:
    exc = await caught(tasks.echo(tasks.Unfit()))

    assert isinstance(exc, errors.EncodeError)
    assert isinstance(exc, TypeError)
    assert coded_world.router.pending == 0


async def test_error_of_an_argument_says_where_it_sits_and_the_way_out(world: World) -> None:
    exc = await caught(tasks.echo({"a": [1, tasks.Unfit()]}))

    assert isinstance(exc, errors.EncodeError)
    for part in ("['a'][1]", "Unfit", "register", "CloudpickleCodec"):
        assert part in str(exc)


async def test_result_that_cannot_be_encoded_is_an_error_of_the_caller(coded_world: World) -> None:
    exc = await caught(tasks.return_unfit())

    assert type(exc) is errors.EncodeError
    assert await tasks.add(1, 1) == 2


@pytest.mark.parametrize("router_options", [{"max_payload_bytes": 1000}])
async def test_argument_that_is_too_large_names_the_option_of_the_caller(world: World) -> None:
    exc = await caught(tasks.echo(b"x" * 1001))

    assert isinstance(exc, errors.TooLargeError)
    assert "the arguments of 'tests.contract.tasks:echo' came to 100" in str(exc)
    assert "Router(max_payload_bytes=...) in the caller" in str(exc)


async def test_result_that_exits_when_it_is_encoded_ends_its_call_only(
    pickling_world: World,
) -> None:
    exc = await caught(tasks.return_quitter())

    assert isinstance(exc, SystemExit)
    assert await tasks.add(1, 1) == 2


async def test_argument_that_exits_when_it_is_decoded_ends_its_call_only(
    pickling_world: World,
) -> None:
    exc = await caught(tasks.echo(tasks.Quitter("decoding")))

    assert isinstance(exc, errors.DecodeError)
    assert await tasks.add(1, 1) == 2


async def test_unknown_task_is_an_error_that_says_how_to_start_a_worker(world: World) -> None:
    @atask(name="nowhere:gone")
    async def gone() -> None:
        """Forgotten before it is called."""

    namespaces.get("default").registry.unregister("nowhere:gone")

    exc = await caught(gone())

    assert isinstance(exc, errors.UnknownTaskError)
    assert isinstance(exc, LookupError)
    assert exc.name == "nowhere:gone"
    assert "atasks-ng worker nowhere" in str(exc)
    assert await tasks.add(1, 1) == 2


async def test_worker_logs_which_calls_it_refuses(
    near_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    call = asyncio.ensure_future(tasks.echo("a secret"))
    await asyncio.sleep(0)  # it is encoded and posted now
    JsonCodec()

    with caplog.at_level(logging.INFO, "atasks_ng.worker"):
        await caught(call)

    [message] = [each.message for each in caplog.records if each.name == "atasks_ng.worker"]
    assert "differ in codec: 'MsgpackCodec' there, 'JsonCodec' here" in message
    assert "a secret" not in caplog.text


async def test_codec_that_differs_is_an_error_that_names_both(world: World) -> None:
    if world.runs_here:
        call = asyncio.ensure_future(tasks.echo(1))
        await asyncio.sleep(0)  # it is encoded and posted now
        JsonCodec()
        theirs, ours = "JsonCodec", "MsgpackCodec"
    else:
        JsonCodec()
        call = asyncio.ensure_future(tasks.echo(1))
        theirs, ours = "MsgpackCodec", "JsonCodec"

    exc = await caught(call)

    assert isinstance(exc, errors.IncompatibleError)
    assert exc.args == ("codec", theirs, ours)
    assert "use the same codec on both sides" in str(exc)


async def test_arguments_that_cannot_be_decoded_are_an_error(
    near_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Unreadable(JsonCodec):
        name = "MsgpackCodec"

    call = asyncio.ensure_future(tasks.echo(1))
    await asyncio.sleep(0)
    Unreadable()

    with caplog.at_level(logging.INFO, "atasks_ng.worker"):
        exc = await caught(call)

    assert isinstance(exc, errors.DecodeError)
    assert "of 'tests.contract.tasks:echo' cannot be decoded here" in caplog.text


@pytest.mark.parametrize(("broken", "side"), [("argument", "worker "), ("result", "the result")])
async def test_error_of_decoding_says_what_and_on_which_side(
    near_world: World, broken: str, side: str
) -> None:
    class Forgetful(JsonCodec):
        def decode(self, content: bytes) -> Any:
            value = super().decode(content)
            if value in (broken, [[broken], {}]):
                raise errors.DecodeError("class 'm:C' is not known here")
            return value

    @atask
    async def turn(value: str) -> str:
        return "result"

    Forgetful()

    exc = await caught(turn("argument"))

    assert type(exc) is errors.DecodeError
    assert str(exc).startswith(side)
    assert f"the {broken}" in str(exc)
    assert "cannot be decoded by Forgetful: class 'm:C' is not known here" in str(exc)


async def test_error_of_a_codec_with_odd_arguments_reaches_the_caller(near_world: World) -> None:
    class Picky(JsonCodec):
        def encode(self, obj: Any) -> bytes:
            if obj == "the result":
                raise errors.EncodeError(object(), "caf\udce9")
            return super().encode(obj)

    @atask
    async def result() -> str:
        return "the result"

    Picky()

    exc = await caught(result())

    assert isinstance(exc, errors.EncodeError)
    assert await tasks.add(1, 1) == 2


@pytest.mark.parametrize("router_options", [{"max_depth": 30}], ids=[""])
async def test_recursion_without_end_is_a_recursion_error(near_world: World) -> None:
    @atask
    async def dive(n: int) -> int:
        return await dive(n + 1)

    exc = await caught(dive(0))

    assert isinstance(exc, errors.RecursionTooDeepError)
    assert isinstance(exc, RecursionError)
    assert exc.limit == 30


@pytest.mark.parametrize("router_options", [{"max_depth": 30}], ids=[""])
async def test_depth_up_to_the_limit_is_allowed(near_world: World) -> None:
    assert await tasks.descend(29) == 29


# -- without a connection ------------------------------------------------------------------------


async def test_call_without_a_transport_says_how_to_connect() -> None:
    exc = await caught(tasks.echo(1))

    assert isinstance(exc, errors.NotConnectedError)
    assert "async with atasks_ng.connect(url)" in str(exc)


async def test_call_of_another_namespace_names_it_in_the_error() -> None:
    @atask(namespace="unconnected")
    async def f() -> None:
        """Never runs."""

    exc = await caught(f())

    assert isinstance(exc, errors.NotConnectedError)
    assert "namespace='unconnected'" in str(exc)


async def test_call_without_a_codec_says_how_to_make_one(world: World) -> None:
    namespaces.get("default").codec = None

    exc = await caught(tasks.echo(1))

    assert isinstance(exc, errors.NoCodecError)
    assert "atasks_ng.codecs.MsgpackCodec()" in str(exc)


async def test_stream_without_a_transport_says_how_to_connect() -> None:
    exc = await caught(anext(tasks.count_up(1)))

    assert isinstance(exc, errors.NotConnectedError)


async def test_router_without_a_transport_awaits_nothing() -> None:
    assert Router().pending == 0
