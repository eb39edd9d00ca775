"""``serve`` on loopback: stopping loses nothing."""

from __future__ import annotations

import asyncio
import datetime
from typing import TYPE_CHECKING

import pytest

from atasks_ng import errors, serve

if TYPE_CHECKING:
    from .conftest import Body, Caller

LOOPBACK = "loopback://"


async def test_close_lets_running_calls_end(caller: Caller, namespace: str, body: Body) -> None:
    async with serve(LOOPBACK, namespace=namespace) as worker:
        caller.stays()
        calls = [asyncio.create_task(body.call(n)) for n in range(3)]
        await body.until_started(3)

        worker.close()
        await asyncio.sleep(0)
        assert worker.running == 3
        body.go.set()
        await worker.wait_closed()

        assert await asyncio.gather(*calls) == [0, 1, 4]
    assert body.cancelled == 0
    assert (worker.performed, worker.handed_back) == (3, 0)


async def test_close_hands_back_what_waits(caller: Caller, namespace: str, body: Body) -> None:
    async with serve(LOOPBACK, namespace=namespace, concurrency=1) as worker:
        caller.stays()
        calls = [asyncio.create_task(body.call(n)) for n in range(3)]
        await body.until_started(1)

        worker.close()
        body.go.set()
        await worker.wait_closed()
        assert body.started == 1

    async with serve(LOOPBACK, namespace=namespace):
        caller.stays()
        assert await asyncio.gather(*calls) == [0, 1, 4]
    assert worker.performed == 1


async def test_close_cancels_and_hands_back_after_the_grace_time(
    caller: Caller, namespace: str, body: Body
) -> None:
    async with serve(LOOPBACK, namespace=namespace, grace=0.05) as worker:
        caller.stays()
        call = asyncio.create_task(body.call(3))
        await body.until_started(1)

    assert body.cancelled == 1
    assert (worker.performed, worker.handed_back) == (0, 1)
    body.go.set()
    async with serve(LOOPBACK, namespace=namespace):
        caller.stays()
        assert await call == 9


async def test_second_close_with_less_patience_counts(
    caller: Caller, namespace: str, body: Body
) -> None:
    async with serve(LOOPBACK, namespace=namespace, grace=None) as worker:
        caller.stays()
        call = asyncio.create_task(body.call(3))
        await body.until_started(1)

        worker.close()
        worker.close(grace=datetime.timedelta(hours=1))
        worker.close(grace=0)
        await worker.wait_closed()
        worker.close()

        assert worker.handed_back == 1
        call.cancel()


async def test_wait_closed_waits_for_whoever_closes(namespace: str) -> None:
    async with serve(LOOPBACK, namespace=namespace) as worker:
        waiting = asyncio.create_task(worker.wait_closed())
        await asyncio.sleep(0)
        assert not waiting.done()

        worker.close()

        async with asyncio.timeout(5):
            await waiting


async def test_cancel_while_leaving_ends_the_patience(namespace: str, body: Body) -> None:
    worker = serve(LOOPBACK, namespace=namespace, grace=None)

    async def leave() -> None:
        async with worker:
            task = asyncio.create_task(body.call(1))
            await body.until_started(1)
        task.cancel()

    leaving = asyncio.create_task(leave())
    await body.until(lambda: "stopping" in repr(worker))
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving

    assert worker.handed_back == 1
    assert "closed" in repr(worker)


async def test_closed_worker_opens_no_more(namespace: str) -> None:
    worker = serve(LOOPBACK, namespace=namespace)
    async with worker:
        assert await worker.open() is worker

    with pytest.raises(errors.UsageError, match="make a new one"):
        await worker.open()


async def test_worker_closed_before_it_opened_is_closed(namespace: str) -> None:
    worker = serve(LOOPBACK, namespace=namespace)

    worker.close()

    await worker.wait_closed()
    with pytest.raises(errors.UsageError, match="make a new one"):
        await worker.open()
