"""Many calls at once over RabbitMQ: the right values, and the memory comes back."""

from __future__ import annotations

import asyncio
import gc
import sys

import pytest

from atasks_ng import connect
from atasks_ng.codecs import MsgpackCodec

from . import tasks
from .worlds import Broker, until

pytestmark = pytest.mark.amqp

COUNT = 10_000


async def burst(count: int) -> list[int]:
    return await asyncio.gather(*[tasks.add(number, number) for number in range(count)])


async def test_ten_thousand_calls_at_once_get_their_values_and_give_memory_back(
    broker: Broker,
) -> None:
    MsgpackCodec()
    async with connect(broker.url, prefix=broker.worker("msgpack", 100)):
        await burst(2000)  # what is made once is made now
        before = blocks()

        results = await burst(COUNT)

        assert results == [2 * number for number in range(COUNT)]
        results.clear()
        # Less than one block of memory for every second call.
        await until(lambda: blocks() - before < COUNT / 2, 5, "the memory does not come back")


async def test_failures_give_their_memory_back(broker: Broker) -> None:
    MsgpackCodec()
    async with connect(broker.url, prefix=broker.worker("msgpack", 100)):
        await _fail(200)
        before = blocks()

        await _fail(1000)

        await until(lambda: blocks() - before < 500, 5, "the memory does not come back")


async def _fail(count: int) -> None:
    calls = [tasks.divide(1, 0) for _ in range(count)]
    failures = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(failure) for failure in failures} == {ZeroDivisionError}


async def test_fibonacci_of_fifteen_needs_one_slot(broker: Broker) -> None:
    MsgpackCodec()
    async with connect(broker.url, prefix=broker.worker("msgpack", 1)):
        # About two thousand nested calls.
        assert await tasks.fibonacci(15) == 610


def blocks() -> int:
    """Return how many blocks of memory are in use; counting costs nothing while they are made."""
    gc.collect()
    return sys.getallocatedblocks()
