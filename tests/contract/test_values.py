"""What is given to a task and what it returns arrive as themselves."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import fractions
import os
import pathlib
import uuid
from typing import Any

import pytest

from . import tasks
from .worlds import World

PLAIN = [
    None,
    True,
    0,
    -1,
    2**62,
    1.5,
    -0.0,
    "",
    "hello",
    "żółw 🐢",
    [],
    [1, [2, [3]]],
    {},
    {"a": 1, "b": {"c": [None]}},
]

RICH = [
    2**200,
    float("inf"),
    1 + 2j,
    b"\x00\xff",
    bytearray(b"ab"),
    (),
    (1, (2, "x")),
    {1, 2},
    frozenset({"a"}),
    {1: "int", (1, 2): "tuple", None: "none"},
    datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.UTC),
    datetime.date(2024, 2, 29),
    datetime.timedelta(days=-1, microseconds=1),
    decimal.Decimal("1.10"),
    fractions.Fraction(1, 3),
    uuid.UUID(int=7),
    pathlib.PurePosixPath("/a/b"),
    range(1, 10, 2),
    slice(1, None, 2),
    ...,
    "caf\udce9",
]


async def test_plain_values_arrive_as_themselves(coded_world: World) -> None:
    result = await asyncio.gather(*[tasks.echo(value) for value in PLAIN])

    assert result == PLAIN
    assert [type(value) for value in result] == [type(value) for value in PLAIN]


async def test_rich_values_arrive_as_themselves(exact_world: World) -> None:
    result = await asyncio.gather(*[tasks.echo(value) for value in RICH])

    assert result == RICH
    assert [type(value) for value in result] == [type(value) for value in RICH]


async def test_arguments_arrive_in_their_places(coded_world: World) -> None:
    result = await tasks.arguments(1, "two", three=3, self="not ours", args=[], kwargs={})

    assert result == [[1, "two"], {"three": 3, "self": "not ours", "args": [], "kwargs": {}}]


async def test_defaults_and_keyword_only_arguments_work(world: World) -> None:
    assert await tasks.add(1) == 2
    assert await tasks.add(1, 2, c=3) == 6
    assert await tasks.add(b=5, a=1) == 6


async def test_wrong_arguments_raise_at_the_call(world: World) -> None:
    with pytest.raises(TypeError, match=r"add\(\) missing 1 required positional argument: 'a'"):
        tasks.add()  # type: ignore[call-arg]


async def test_names_of_options_are_free_for_arguments(world: World) -> None:
    options: dict[str, Any] = {"timeout": 1, "queue": "q", "name": "n", "namespace": "ns"}

    assert await tasks.arguments(**options) == [[], options]


async def test_arguments_arrive_as_copies(near_world: World) -> None:
    given = [1]

    result = await tasks.echo(given)
    result.append(2)

    assert given == [1]


async def test_large_value_arrives_whole(world: World) -> None:
    value = bytes(range(256)) * 4096 * 3  # 3 MiB, many frames of AMQP

    assert await tasks.echo(value) == value


async def test_many_calls_at_once_get_their_own_values(coded_world: World) -> None:
    results = await asyncio.gather(*[tasks.add(number, number) for number in range(500)])

    assert results == [2 * number for number in range(500)]


async def test_calls_run_where_the_worker_is(world: World) -> None:
    pid = await tasks.process_id()

    assert (pid == os.getpid()) is world.runs_here
