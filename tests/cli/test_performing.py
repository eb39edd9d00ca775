"""The life of a worker process, in this one: what no real broker does at the right moment."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Iterator

import pytest

from atasks_ng import atask, connect, serve
from atasks_ng.cli import performing
from atasks_ng.cli.performing import perform_until_stopped
from atasks_ng.places.namespaces import namespaces
from atasks_ng.transport import get_transport, urls
from atasks_ng.transport.backends.loopback import LoopbackTransport
from atasks_ng.words.errors import AccessDeniedError, ConnectionLostError, TLSError
from atasks_ng.words.ids import new_id


class Hesitant(LoopbackTransport):
    """Serves its second queue when it is let."""

    let: asyncio.Event

    async def consume(self, queue: str, window: int) -> None:
        if queue == "second":
            await self.let.wait()
        await super().consume(queue, window)


class Failing(LoopbackTransport):
    """Cannot connect, for one reason and then for another."""

    reasons: Iterator[ConnectionLostError]

    async def connect(self) -> None:
        raise next(self.reasons)


@pytest.fixture
def schemes() -> Iterator[None]:
    urls.register_scheme("hesitant", Hesitant)
    urls.register_scheme("failing", Failing)
    yield
    del urls._registered["hesitant"], urls._registered["failing"]


async def test_call_that_runs_before_every_queue_is_served_has_the_grace_time(
    schemes: None, namespace: str
) -> None:
    started, go, Hesitant.let = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def body() -> str:
        started.set()
        await go.wait()
        return "done"

    task = atask(body, name="body", namespace=namespace, queue="first")
    async with connect("loopback://", namespace=namespace):
        outer = get_transport(namespace)
        worker = serve("hesitant://", namespace=namespace, queues=["first", "second"])
        performing = asyncio.create_task(perform_until_stopped(worker, owns_process=False))
        while get_transport(namespace) is outer:  # noqa: ASYNC110
            await asyncio.sleep(0)
        # As a caller in another process, which the end of the worker's connection does not touch.
        namespaces.register(namespace, transport=outer)
        call = asyncio.create_task(task())
        async with asyncio.timeout(10):
            await started.wait()

            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(20):  # steps of the loop: more than it takes to cancel a body
                await asyncio.sleep(0)
            Hesitant.let.set()
            go.set()

            assert await call == "done"
            assert await performing == 0
    assert (worker.performed, worker.handed_back) == (1, 0)


async def test_each_reason_not_to_connect_is_said_once_with_what_is_awaited(
    schemes: None, namespace: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reasons() -> Iterator[ConnectionLostError]:
        yield ConnectionLostError("no route")
        for _ in range(2):
            yield AccessDeniedError(f"may not bind {new_id()}")
        yield ConnectionLostError("no route")
        yield TLSError("expired")
        os.kill(os.getpid(), signal.SIGTERM)
        yield ConnectionLostError("too late")

    monkeypatch.setattr(performing, "_LONGEST_PAUSE", 0.001)

    Failing.reasons = reasons()
    worker = serve("failing://", namespace=namespace)

    assert await perform_until_stopped(worker, owns_process=False) == 0

    tries = [line for line in caplog.messages if "trying again" in line]
    assert [re.sub("[0-9a-f]{32}", "ID", line) for line in tries[:3]] == [
        "no route; trying again until it can connect",
        "may not bind ID; trying again until the broker permits it",
        "expired; trying again until TLS works there",
    ]
    assert len(tries) <= 4  # with the one that may come before the signal is heard
