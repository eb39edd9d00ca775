"""Calls without a copy: the caller awaits the body itself, which is a call all the same."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import sys
import threading
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

from atasks_ng import Call, atask, connect, current_call, run, serve, timeout
from atasks_ng.places.namespaces import namespaces
from atasks_ng.router import Router, get_router
from atasks_ng.transport.base import LoopbackTransport
from atasks_ng.words import errors, hooks

URL = "loopback://?copy=0"

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")


@pytest.fixture
async def connected() -> AsyncIterator[None]:
    async with connect(URL):
        yield


@atask
async def same(value: Any) -> Any:
    return value


@atask
async def suspended(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


@atask
async def seen() -> Call | None:
    return current_call()


@atask(timeout=60)
async def limited(deeper: int = 0) -> list[Call | None]:
    return [current_call(), *(await limited(deeper - 1) if deeper else [])]


@atask
async def family(deeper: int) -> list[Call | None]:
    below = await family(deeper - 1) if deeper else []
    return [current_call(), *below]


@atask
async def fail(exc: BaseException) -> None:
    raise exc


@atask
async def hang(log: list[str], *, swallow: bool = False, grimly: bool = False) -> str:
    log.append("begun")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        log.append("cancelled")
        if grimly:
            raise ValueError("in the clean-up") from None
        if not swallow:
            raise
    return "swallowed"


@atask
def in_thread(value: Any) -> tuple[Any, bool, Call | None]:
    return value, threading.current_thread() is threading.main_thread(), current_call()


@atask
async def numbers(log: list[Any], calls: list[Call | None]) -> AsyncIterator[Any]:
    calls.append(current_call())
    try:
        for number in range(3):
            try:
                log.append((yield number))
            except KeyError as exc:
                log.append(exc)
    finally:
        await asyncio.sleep(0)
        calls.append(current_call())
        log.append("closed")


@pytest.mark.usefixtures("connected")
async def test_arguments_and_results_are_the_very_objects() -> None:
    value = object()

    assert await same(value) is value
    assert await suspended(value=value) is value


@pytest.mark.usefixtures("connected")
async def test_body_runs_in_the_asyncio_task_of_its_caller() -> None:
    @atask(name="task_of_body")
    async def task_of_body() -> Any:
        return asyncio.current_task()

    assert await task_of_body() is asyncio.current_task()


@pytest.mark.usefixtures("connected")
async def test_body_that_does_not_suspend_lets_nobody_in() -> None:
    others: list[int] = []
    asyncio.get_running_loop().call_soon(others.append, 1)

    await same(1)

    assert others == []


@pytest.mark.usefixtures("connected")
async def test_exception_is_the_very_object_with_the_context_of_a_plain_await() -> None:
    exc = LookupError("of the body")
    handled = ValueError("of the caller")
    caught: BaseException | None = None

    try:
        raise handled
    except ValueError:
        try:
            await fail(exc)
        except LookupError as found:
            caught = found

    assert caught is exc
    assert exc.__context__ is handled
    assert exc.__cause__ is None


@pytest.mark.usefixtures("connected")
async def test_wrong_arguments_are_refused_at_the_call() -> None:
    with pytest.raises(TypeError, match=r"same\(\) missing 1 required positional argument"):
        same()  # type: ignore[call-arg]


@pytest.mark.usefixtures("connected")
async def test_arguments_live_no_longer_than_the_body_needs_them() -> None:
    class Large:
        pass

    @atask(name="let_go")
    async def let_go(value: Any) -> Any:
        ref = weakref.ref(value)
        del value
        return ref()

    assert await let_go(Large()) is None


@pytest.mark.usefixtures("connected")
async def test_what_a_body_sets_is_set_at_its_caller() -> None:
    @atask(name="set_it")
    async def set_it() -> str:
        before = variable.get()
        variable.set("by the body")
        return before

    variable.set("by the caller")

    assert await set_it() == "by the caller"
    assert variable.get() == "by the body"


@pytest.mark.usefixtures("connected")
async def test_call_leaves_no_trace_in_the_context() -> None:
    before = contextvars.copy_context()

    await same(1)
    with pytest.raises(LookupError):
        await fail(LookupError())
    async for _ in numbers([], []):
        break

    assert list(contextvars.copy_context().items()) == list(before.items())


@pytest.mark.usefixtures("connected")
async def test_coroutine_that_is_closed_in_another_context_says_nothing() -> None:
    complaints: list[Any] = []
    coroutine = suspended(1)
    contextvars.copy_context().run(coroutine.send, None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", complaints.append)
        coroutine.close()
        del coroutine
        gc.collect()

    assert complaints == []
    assert get_router().running == 0


@pytest.mark.usefixtures("connected")
async def test_body_knows_its_call() -> None:
    call = await seen.options(queue="rare")()

    assert call is not None
    assert call.task == f"{__name__}:seen"
    assert (call.namespace, call.queue, call.worker) == ("default", "rare", get_router().name)
    assert (call.attempt, call.depth, call.parent, call.deadline) == (1, 0, None, None)
    assert call.root == call.id
    assert len(call.id) == 32
    assert current_call() is None


@pytest.mark.usefixtures("connected")
async def test_calls_of_one_tree_know_each_other() -> None:
    calls = [call for call in await family(2) if call]

    assert [call.depth for call in calls] == [0, 1, 2]
    assert [call.parent for call in calls] == [None, calls[0].id, calls[1].id]
    assert {call.root for call in calls} == {calls[0].id}
    assert len({call.id for call in calls}) == 3


@pytest.mark.usefixtures("connected")
async def test_outer_call_is_the_current_one_again() -> None:
    @atask(name="around")
    async def around() -> tuple[Call | None, Call | None, Call | None]:
        before = current_call()
        return before, await seen(), current_call()

    before, inner, after = await around()

    assert inner is not None
    assert before is after is not inner


@pytest.mark.usefixtures("connected")
async def test_nearest_deadline_is_that_of_the_call() -> None:
    now = asyncio.get_running_loop().time()

    async with timeout(30):
        scoped = await seen()
    own, nested = await limited(1)

    assert scoped is not None
    assert own is not None
    assert nested is not None
    assert scoped.deadline == pytest.approx(now + 30, abs=5)
    assert own.deadline == pytest.approx(now + 60, abs=5)
    # 60 s from its own beginning would be later.
    assert nested.deadline == own.deadline


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("how", [{}, {"swallow": True}, {"grimly": True}])
async def test_timeout_ends_the_call_with_a_deadline_error(how: dict[str, bool]) -> None:
    log: list[str] = []

    with pytest.raises(errors.DeadlineError) as caught:
        await hang.options(timeout=0.01)(log, **how)

    assert caught.value.args == (f"{__name__}:hang", pytest.approx(0.01))
    assert log == ["begun", "cancelled"]
    me = asyncio.current_task()
    assert me is not None
    assert me.cancelling() == 0


@pytest.mark.usefixtures("connected")
async def test_deadline_of_an_outer_call_ends_the_inner_ones_once() -> None:
    log: list[str] = []

    @atask(name="outer_of_deadline", timeout=0.01)
    async def outer() -> None:
        try:
            await hang(log)
        finally:
            me = asyncio.current_task()
            log.append(f"{me.cancelling()} cancel" if me else "no task")

    with pytest.raises(errors.DeadlineError) as caught:
        await outer()

    assert caught.value.name == "outer_of_deadline"
    assert log == ["begun", "cancelled", "1 cancel"]


@pytest.mark.usefixtures("connected")
async def test_deadline_reaches_calls_of_other_asyncio_tasks() -> None:
    background: list[asyncio.Task[str]] = []

    @atask(name="leaves_behind", timeout=0.01)
    async def leaves_behind() -> None:
        background.append(asyncio.create_task(hang([])))
        await asyncio.sleep(0)

    await leaves_behind()

    with pytest.raises(errors.DeadlineError):
        await background[0]


@pytest.mark.usefixtures("connected")
async def test_call_whose_time_is_over_never_begins() -> None:
    log: list[str] = []

    with pytest.raises(errors.DeadlineError):
        await hang.options(timeout=0)(log)

    assert log == []


@pytest.mark.usefixtures("connected")
async def test_scope_around_a_call_ends_it() -> None:
    log: list[str] = []

    with pytest.raises(TimeoutError) as caught:
        async with timeout(0.01):
            await hang.options(timeout=50)(log)

    assert not isinstance(caught.value, errors.DeadlineError)
    assert log == ["begun", "cancelled"]


@pytest.mark.usefixtures("connected")
async def test_scope_of_another_asyncio_task_leaves_a_call_its_own_timeout() -> None:
    log: list[str] = []

    async with timeout(0.02):
        call = asyncio.create_task(hang.options(timeout=0.05)(log))
        await asyncio.sleep(0)

    with pytest.raises(errors.DeadlineError) as caught:
        await asyncio.wait_for(call, 5)
    assert caught.value.args == (f"{__name__}:hang", pytest.approx(0.05))
    assert log == ["begun", "cancelled"]


@pytest.mark.usefixtures("connected")
async def test_cancel_of_the_caller_is_no_deadline() -> None:
    log: list[str] = []
    caller = asyncio.create_task(hang.options(timeout=50)(log))
    await asyncio.sleep(0)

    caller.cancel("enough")

    with pytest.raises(asyncio.CancelledError):
        await caller
    assert log == ["begun", "cancelled"]


@pytest.mark.usefixtures("connected")
async def test_plain_function_runs_in_a_thread_and_knows_its_call() -> None:
    value = object()

    got, is_main, call = await in_thread(value)

    assert got is value
    assert not is_main
    assert call is not None
    assert call.task == f"{__name__}:in_thread"


async def test_threads_end_with_the_connection() -> None:
    @atask(name="which_thread")
    def which_thread() -> threading.Thread:
        return threading.current_thread()

    async with connect(URL):
        thread = await which_thread()
        assert thread.is_alive()

    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.usefixtures("connected")
async def test_function_that_returns_an_awaitable_is_awaited() -> None:
    @atask(name="awaitable", executor="loop")
    def awaitable(value: Any) -> Any:
        calls.append(current_call())
        return asyncio.sleep(0, value)

    calls: list[Call | None] = []

    assert await awaitable(5) == 5
    assert [call and call.task for call in calls] == ["awaitable"]


@pytest.mark.usefixtures("connected")
async def test_types_of_arguments_are_checked() -> None:
    @atask(name="checked", validate=True)
    async def checked(number: int) -> int:
        return number

    assert await checked(3) == 3
    with pytest.raises(TypeError, match="number"):
        checked("three")  # type: ignore[arg-type]


@pytest.mark.usefixtures("connected")
async def test_task_that_is_not_registered_is_unknown() -> None:
    @atask(name="forgotten")
    async def forgotten() -> None:
        raise AssertionError("it ran")

    namespaces.get("default").registry.unregister("forgotten")

    with pytest.raises(errors.UnknownTaskError) as caught:
        await forgotten()
    assert caught.value.args == ("forgotten", "default", get_router().name)


async def test_depth_is_bounded() -> None:
    Router(max_depth=3)

    async with connect(URL):
        assert len(await family(2)) == 3
        with pytest.raises(errors.RecursionTooDeepError) as caught:
            await family(3)

    assert caught.value.args == (f"{__name__}:family", 3)


# -- connecting ------------------------------------------------------------------------------


async def test_nothing_is_performed_before_it_is_connected() -> None:
    LoopbackTransport(copy=False)

    with pytest.raises(errors.NotConnectedError):
        await same(1)
    with pytest.raises(errors.NotConnectedError):
        await anext(numbers([], []))


async def test_nothing_is_performed_after_it_is_disconnected() -> None:
    transport = LoopbackTransport(copy=False)
    await transport.connect()
    await get_router().activate(transport)
    value = object()
    assert await same(value) is value

    await transport.disconnect()

    with pytest.raises(errors.NotConnectedError):
        await same(1)


async def test_nothing_is_copied_when_the_code_says_so() -> None:
    value = object()

    async with serve("loopback://", copy=False):
        assert await same(value) is value


def test_call_that_was_made_before_connecting_is_not_copied_either() -> None:
    value = object()

    assert run(same(value), url=URL) is value


async def test_generator_that_was_made_before_connecting_is_not_copied_either() -> None:
    log: list[Any] = []
    generator = numbers(log, [])

    async with connect(URL):
        assert [number async for number in generator] == [0, 1, 2]

    assert log == [None, None, None, "closed"]


async def test_worker_that_copies_is_asked_for_copies() -> None:
    value = [1]

    async with serve("loopback://"), connect(URL):
        got = await same(value)

    assert got == value
    assert got is not value


async def test_caller_that_copies_gets_copies() -> None:
    value = [1]

    async with serve(URL), connect("loopback://"):
        got = await same(value)

    assert got == value
    assert got is not value


async def test_namespaces_do_not_mix() -> None:
    @atask(name="elsewhere", namespace="copying")
    async def elsewhere(value: Any) -> tuple[Any, Call | None]:
        return value, current_call()

    @atask(name="both")
    async def both(value: Any) -> Any:
        return current_call(), *await elsewhere(value)

    value = [1]
    async with connect(URL), connect("loopback://", namespace="copying"):
        here, got, there = await both(value)

    assert got is not value
    assert there.parent == here.id
    assert there.depth == 1


# -- stopping --------------------------------------------------------------------------------


async def test_stopping_waits_for_calls_under_way() -> None:
    gate = asyncio.Event()

    @atask(name="wait_for_gate")
    async def wait_for_gate() -> str:
        await gate.wait()
        return "through"

    async with serve(URL) as worker:
        call = asyncio.create_task(wait_for_gate())
        await asyncio.sleep(0)
        assert (worker.running, get_router().pending) == (1, 1)

        draining = asyncio.create_task(get_router().deactivate(None))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not draining.done()
        gate.set()
        await draining

        assert call.done()
        assert (worker.running, get_router().pending) == (0, 0)


async def test_stopping_waits_no_longer_than_its_grace_time() -> None:
    log: list[str] = []

    async with connect(URL) as connection:
        call = asyncio.create_task(hang(log))
        await asyncio.sleep(0)
        handed_back = await connection.drain(0.01)

    assert handed_back == 0
    assert not call.done()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_call_that_waits_for_a_thread_outlasts_the_connection() -> None:
    begun, gate = threading.Event(), threading.Event()

    @atask(name="block")
    def block(number: int) -> int:
        begun.set()
        gate.wait(10)
        return number

    async with serve(URL, threads=1, grace=0):
        calls = [asyncio.create_task(block(number)) for number in range(3)]
        await asyncio.to_thread(begun.wait, 10)
    gate.set()

    assert await asyncio.gather(*calls) == [0, 1, 2]


async def test_nested_call_of_one_that_outlasts_the_connection_is_an_error() -> None:
    gate = asyncio.Event()

    @atask(name="late")
    async def late() -> Any:
        await gate.wait()
        return await same(1)

    async with connect(URL):
        call = asyncio.create_task(late())
        await asyncio.sleep(0)
    gate.set()

    with pytest.raises(errors.NotConnectedError):
        await call


@pytest.mark.usefixtures("connected")
async def test_call_takes_few_steps() -> None:
    plain: Any = same.__wrapped__
    await same(1)
    counts: list[int] = []

    for function in (plain, same):
        steps: list[str] = []
        sys.setprofile(lambda _, event, __, steps=steps: steps.append(event))
        try:
            await function(1)
        finally:
            sys.setprofile(None)
        counts.append(steps.count("call"))

    # Stub, check and router; the call, with what it is and whether it may run; its end.
    assert counts[1] - counts[0] <= 10


@pytest.mark.usefixtures("connected")
async def test_calls_are_counted() -> None:
    await same(1)
    with pytest.raises(LookupError):
        await fail(LookupError())
    async for _ in numbers([], []):
        pass

    assert get_router().performed == 3
    assert get_router().running == 0


@pytest.mark.usefixtures("connected")
async def test_listeners_hear_of_calls() -> None:
    told: list[Any] = []
    stop = hooks.listen(told.append)
    try:
        call = await seen.options(queue="rare")()
        with pytest.raises(LookupError):
            await fail(LookupError())
        with pytest.raises(errors.DeadlineError):
            await hang.options(timeout=0.01)([])
        async for _ in numbers([], []):
            pass
    finally:
        stop()

    kinds = [type(record).__name__ for record in told]
    assert kinds == ["CallSent", "CallStarted", "CallPerformed"] * 4
    ends = [each.outcome for each in told if isinstance(each, hooks.CallPerformed)]
    assert ends == ["value", "failure", "refusal", "value"]
    assert call is not None
    assert {record.id for record in told[:3]} == {call.id}
    assert told[0] == hooks.CallSent(call.id, call.task, "default", "rare")
    assert told[1].worker == told[2].worker == get_router().name
    assert told[2].seconds >= 0


def test_listeners_hear_of_calls_that_outlast_their_loop() -> None:
    told: list[Any] = []
    complaints: list[Any] = []
    kept: list[Any] = []

    async def main() -> None:
        kept.append(suspended(1))
        kept[0].send(None)

    stop = hooks.listen(told.append)
    try:
        run(main(), url=URL)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "unraisablehook", complaints.append)
            kept.clear()
            gc.collect()
    finally:
        stop()

    assert complaints == []
    assert [type(record).__name__ for record in told][-1] == "CallPerformed"


# -- async generators ------------------------------------------------------------------------


@pytest.mark.usefixtures("connected")
async def test_generator_is_talked_to_directly() -> None:
    log: list[Any] = []
    calls: list[Call | None] = []
    generator = numbers(log, calls)
    sent, thrown = object(), KeyError("thrown")

    assert await anext(generator) == 0
    assert current_call() is None
    assert await generator.asend(sent) == 1  # type: ignore[attr-defined]
    assert await generator.athrow(thrown) == 2  # type: ignore[attr-defined]
    await generator.aclose()  # type: ignore[attr-defined]

    assert log == [sent, thrown, "closed"]
    assert thrown.__context__ is None
    assert calls[0] is calls[1] is not None
    assert current_call() is None


@pytest.mark.usefixtures("connected")
async def test_exception_thrown_into_a_generator_comes_out_again() -> None:
    generator = numbers([], [])
    thrown = ValueError("thrown")
    await anext(generator)

    with pytest.raises(ValueError, match="thrown") as caught:
        await generator.athrow(thrown)  # type: ignore[attr-defined]

    assert caught.value is thrown
    assert thrown.__context__ is None


@pytest.mark.usefixtures("connected")
async def test_error_of_a_generator_that_caught_an_exception_has_no_context() -> None:
    @atask(name="catches")
    async def catches() -> AsyncIterator[int]:
        with contextlib.suppress(KeyError):
            yield 1
        raise ValueError("later")

    generator = catches()
    await anext(generator)

    with pytest.raises(ValueError, match="later") as caught:
        await generator.athrow(KeyError())  # type: ignore[attr-defined]

    assert caught.value.__context__ is None


@pytest.mark.usefixtures("connected")
async def test_generator_that_ignores_being_closed_is_an_error() -> None:
    @atask(name="stubborn")
    async def stubborn() -> AsyncIterator[int]:
        try:
            yield 1
        except GeneratorExit:
            yield 2

    generator = stubborn()
    await anext(generator)

    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        await generator.aclose()  # type: ignore[attr-defined]


def test_generator_left_open_is_closed_with_the_loop_and_nobody_complains() -> None:
    log: list[Any] = []
    complaints: list[Any] = []
    kept: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
        generator = numbers(log, [])
        kept.append(generator)
        await anext(generator)

    run(main(), url=URL)

    assert log == ["closed"]
    assert complaints == []


@pytest.mark.usefixtures("connected")
async def test_timeout_ends_a_generator() -> None:
    log: list[str] = []

    @atask(name="slow_numbers", timeout=0.01)
    async def slow_numbers() -> AsyncIterator[int]:
        yield 1
        log.append(await hang(log))

    generator = slow_numbers()

    assert await anext(generator) == 1
    with pytest.raises(errors.DeadlineError) as caught:
        await anext(generator)
    assert caught.value.name == "slow_numbers"
    assert log == ["begun", "cancelled"]


@pytest.mark.usefixtures("connected")
async def test_generator_whose_time_is_over_between_two_items_is_closed() -> None:
    log: list[Any] = []
    generator = numbers.options(timeout=0.01)(log, [])
    await anext(generator)
    await asyncio.sleep(0.02)

    with pytest.raises(errors.DeadlineError):
        await anext(generator)

    assert log == ["closed"]
