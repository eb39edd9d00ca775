"""Calls that nobody serves: the caller waits, says so in the log, and gets an error in the end."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from atasks_ng import connect, serve
from atasks_ng.codecs import MsgpackCodec
from atasks_ng.protocol.caller import CallerTimes
from atasks_ng.router import Router
from atasks_ng.transport import get_transport
from atasks_ng.transport.backends.loopback import LoopbackTransport
from atasks_ng.words import errors

from . import tasks
from .worlds import Broker, until

TIMES = CallerTimes(worker_grace=0.6, warn_after=0.2, retry_every=0.05)


@dataclasses.dataclass
class Empty:
    """A place where this process is connected and nobody performs."""

    url: str
    options: dict[str, Any]
    router: Router


@pytest.fixture(params=["loopback", pytest.param("amqp", marks=pytest.mark.amqp)])
async def empty(
    request: pytest.FixtureRequest, get_broker: Callable[[], Broker]
) -> AsyncIterator[Empty]:
    MsgpackCodec()
    router = Router()
    router.times = TIMES
    if request.param == "loopback":
        transport = LoopbackTransport()
        await transport.connect()
        yield Empty("loopback://", {}, router)
        await transport.disconnect()
    else:
        broker = get_broker()
        options = {"prefix": broker.new_prefix()}
        async with connect(broker.url, **options):
            yield Empty(broker.url, options, router)


async def test_call_gets_its_answer_when_a_worker_comes(empty: Empty) -> None:
    call = asyncio.ensure_future(tasks.add(1, 2))
    await asyncio.sleep(0.1)  # it has found nobody by now

    async with serve(empty.url, **empty.options):
        assert await call == 3


async def test_call_fails_after_the_grace(empty: Empty) -> None:
    begun = time.monotonic()

    with pytest.raises(errors.NoWorkerError) as caught:
        await tasks.add(1)

    assert 0.5 < time.monotonic() - begun < 2
    assert caught.value.args == ("tests.contract.tasks:add", "default", 0.6, "default")
    assert "atasks-ng worker tests.contract.tasks" in str(caught.value)
    assert empty.router.pending == 0


async def test_log_names_the_queue_and_how_to_start_a_worker(
    empty: Empty, caplog: pytest.LogCaptureFixture
) -> None:
    # However many calls wait there.
    with caplog.at_level(logging.WARNING, "atasks_ng"):
        found = await asyncio.gather(
            *(tasks.add.options(queue="gpu")(number) for number in range(20)),
            return_exceptions=True,
        )

    assert {type(each) for each in found} == {errors.NoWorkerError}
    [record] = [record for record in caplog.records if record.name == "atasks_ng.caller"]
    assert "nobody serves queue 'gpu' of namespace 'default'" in record.message
    assert "atasks-ng worker tests.contract.tasks --url <url> --queue gpu" in record.message


async def test_call_can_be_cancelled_while_nobody_serves_it(empty: Empty) -> None:
    call = asyncio.ensure_future(tasks.add(1))
    await asyncio.sleep(0.1)
    begun = time.monotonic()

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert time.monotonic() - begun < 0.5


async def test_deadline_comes_before_the_grace(empty: Empty) -> None:
    with pytest.raises(errors.DeadlineError):
        await tasks.add.options(timeout=0.2)(1)


async def test_closing_the_connection_ends_calls_that_wait(empty: Empty) -> None:
    call = asyncio.ensure_future(tasks.add(1))
    await asyncio.sleep(0.05)

    transport = get_transport()
    assert transport is not None
    empty.router.end_calls(transport, ConnectionError("closed"))

    with pytest.raises(ConnectionError, match="closed"):
        await call


async def test_worker_that_left_is_missed(empty: Empty) -> None:
    async with serve(empty.url, **empty.options):
        assert await tasks.add(1) == 2

    with pytest.raises(errors.NoWorkerError):
        await asyncio.wait_for(tasks.add(1), 2)


async def test_call_that_has_failed_never_starts(empty: Empty) -> None:
    async with serve(empty.url, **empty.options):
        await tasks.add(1)
    with pytest.raises(errors.NoWorkerError):
        await tasks.hang("unserved")

    async with serve(empty.url, concurrency=1, **empty.options):
        assert await tasks.add(1) == 2  # it comes after what lay in the queue

    assert tasks.journal["unserved"] == []


async def test_worker_of_another_queue_does_not_help(empty: Empty) -> None:
    async with serve(empty.url, queues="other", **empty.options):
        with pytest.raises(errors.NoWorkerError):
            await tasks.add(1)

        assert await tasks.add.options(queue="other")(1) == 2


async def test_many_calls_wait_for_one_worker(empty: Empty) -> None:
    calls = [asyncio.ensure_future(tasks.add(number)) for number in range(50)]
    await asyncio.sleep(0.1)

    async with serve(empty.url, **empty.options):
        results = await asyncio.gather(*calls)

    assert results == list(range(1, 51))
    await until(lambda: empty.router.pending == 0)
