"""Async generators as tasks: they look, move and end as local ones do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from atasks_ng.words import errors

from . import tasks
from .worlds import World, until


async def test_loop_gets_every_item_in_order(streaming_world: World) -> None:
    assert [number async for number in tasks.count_up(20)] == list(range(20))


@pytest.mark.parametrize("window", [1, 2, 5, 100])
async def test_window_changes_no_item(streaming_world: World, window: int) -> None:
    stream = tasks.count_up.options(window=window)

    assert [number async for number in stream(50)] == list(range(50))


async def test_items_travel_with_every_codec(coded_streaming_world: World) -> None:
    assert [number async for number in tasks.count_up(3)] == [0, 1, 2]


async def test_empty_stream_ends_at_once(streaming_world: World) -> None:
    assert [number async for number in tasks.count_up(0)] == []


async def test_nothing_runs_before_the_first_item_is_asked_for(
    streaming_world: World, key: str
) -> None:
    stream = tasks.count_up(3, key)
    await tasks.add(1)

    assert await tasks.notes(key) == []
    await stream.aclose()


async def test_generator_moves_only_when_it_is_asked(streaming_world: World, key: str) -> None:
    stream = tasks.count_up(3, key)

    await anext(stream)
    await tasks.add(1)

    assert await tasks.notes(key) == ["at 0"]
    await stream.aclose()


async def test_window_lets_the_generator_run_ahead_and_no_further(
    streaming_world: World, key: str
) -> None:
    stream = tasks.count_up.options(window=3)(100, key)

    await anext(stream)

    await until(lambda: _count_notes(key, 3))
    await asyncio.sleep(0.02)
    assert len(await tasks.notes(key)) <= 4  # the window, beside what was taken
    await stream.aclose()


async def test_value_can_be_sent_in(streaming_world: World, key: str) -> None:
    parrot = tasks.parrot(key)

    said = [await anext(parrot), await parrot.asend("a"), await parrot.asend([1, {"b": 2}])]

    assert said == ["hello", "a", [1, {"b": 2}]]
    await parrot.aclose()


async def test_none_is_sent_when_the_next_item_is_asked_for(
    streaming_world: World, key: str
) -> None:
    parrot = tasks.parrot(key)

    said = [await anext(parrot), await anext(parrot)]

    assert said == ["hello", None]
    await parrot.aclose()


async def test_exception_can_be_thrown_in_and_caught_there(
    streaming_world: World, key: str
) -> None:
    parrot = tasks.parrot(key)
    await anext(parrot)

    said = await parrot.athrow(ValueError("over there"))

    assert said == "caught over there"
    await parrot.aclose()


async def test_exception_thrown_in_and_not_caught_comes_out_as_itself(
    streaming_world: World, key: str
) -> None:
    parrot = tasks.parrot(key)
    await anext(parrot)
    thrown = KeyError("not expected")

    with pytest.raises(KeyError) as caught:
        await parrot.athrow(thrown)

    assert caught.value is thrown


async def test_sending_into_a_stream_that_runs_ahead_is_refused(
    streaming_world: World, key: str
) -> None:
    parrot = tasks.parrot.options(window=2)(key)
    await anext(parrot)

    with pytest.raises(TypeError, match="use window=1"):
        await parrot.asend("a")


async def test_exception_of_the_generator_comes_after_its_items(streaming_world: World) -> None:
    taken: list[Any] = []

    with pytest.raises(LookupError) as caught:
        await _read_into(tasks.fail_after.options(window=10)(3), taken)

    assert taken == [0, 1, 2]
    assert caught.value.args == ("no more", 3)


async def test_close_runs_the_finally_block_before_it_returns(
    streaming_world: World, key: str
) -> None:
    stream = tasks.count_up(10, key)
    await anext(stream)

    await stream.aclose()

    assert (await tasks.notes(key))[-1] == "closed"


async def test_leaving_the_loop_closes_the_generator(streaming_world: World, key: str) -> None:
    async with contextlib.aclosing(tasks.count_up(10, key)) as stream:
        async for number in stream:
            if number == 2:
                break

    assert (await tasks.notes(key))[-1] == "closed"


async def test_close_of_a_stream_that_never_began_does_nothing(
    streaming_world: World, key: str
) -> None:
    await tasks.count_up(10, key).aclose()

    assert await tasks.notes(key) == []


async def test_stream_has_ended_for_good(streaming_world: World) -> None:
    stream = tasks.count_up(1)
    assert [number async for number in stream] == [0]

    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_cancel_while_waiting_for_an_item_closes_the_generator(
    streaming_world: World, key: str
) -> None:
    async def read() -> None:
        async for _ in tasks.slow_stream(key):
            pass

    reader = asyncio.ensure_future(read())
    await until(lambda: _has_note(key, "waiting"))

    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader

    assert "closed" in await tasks.notes(key)


async def test_item_that_cannot_be_encoded_is_an_error_of_the_consumer(
    streaming_world: World, key: str
) -> None:
    taken: list[Any] = []

    with pytest.raises(errors.EncodeError):
        await _read_into(tasks.yield_unfit(key), taken)

    assert taken == [1]
    assert "closed" in await tasks.notes(key)


async def test_item_that_is_too_large_is_an_error_of_the_consumer(
    streaming_world: World, key: str
) -> None:
    taken: list[Any] = []

    with pytest.raises(errors.TooLargeError, match=r"an item of .*yield_much'.* in the worker"):
        await _read_into(tasks.yield_much(key, 4 * 1024 * 1024), taken)

    assert taken == [1]
    assert "closed" in await tasks.notes(key)


async def test_generator_can_make_calls(streaming_world: World) -> None:
    assert [number async for number in tasks.stream_of_calls(3)] == [10, 11, 12]


async def test_body_can_read_a_stream(streaming_world: World) -> None:
    assert await tasks.sum_stream(10) == 45


async def test_many_streams_run_at_once(streaming_world: World) -> None:
    async def read() -> list[int]:
        return [number async for number in tasks.count_up(10)]

    assert await asyncio.gather(*[read() for _ in range(20)]) == [list(range(10))] * 20


async def test_deadline_ends_a_stream(streaming_world: World, key: str) -> None:
    taken: list[Any] = []

    with pytest.raises(TimeoutError):
        await _read_into(tasks.slow_stream.options(timeout=0.2)(key), taken)

    assert taken == [1]
    await until(lambda: _has_note(key, "closed"))


async def test_stream_over_a_transport_that_cannot_carry_it_says_so(own_world: World) -> None:
    with pytest.raises(errors.UnsupportedError, match="use another transport"):
        await anext(tasks.count_up(3))


async def _read_into(stream: AsyncGenerator[Any, Any], taken: list[Any]) -> None:
    async for item in stream:
        taken.append(item)  # noqa: PERF401  (it ends with an exception)


async def _has_note(key: str, text: str) -> bool:
    return text in await tasks.notes(key)


async def _count_notes(key: str, count: int) -> bool:
    return len(await tasks.notes(key)) >= count
