"""An event loop that does not turn costs no link."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiormq
import pytest
from yarl import URL

from atasks_ng import connect
from atasks_ng.testing.proxy import Proxy
from atasks_ng.transport.backends.amqp.settings import Names
from tests.transport.amqp.blocking import HEARTBEAT, NAMESPACE, block, wait

ROOT = Path(__file__).parents[3]


class BlockingWorker:
    """A worker process, and what it logs."""

    def __init__(self, url: str, prefix: str, lane: str, log: Path) -> None:
        self._log = log
        module = "tests.transport.amqp.blocking"
        with log.open("w") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, url, prefix, lane],
                cwd=ROOT,
                env={**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", log.read_text()

    @property
    def log(self) -> str:
        return self._log.read_text()

    def close(self) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(20)


@pytest.fixture(params=["fast", "plain"])
def lane(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
async def prefix(amqp_url: str) -> AsyncIterator[str]:
    """A prefix for names on the broker, which are deleted in the end."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    yield prefix
    names = Names(f"{prefix}.{NAMESPACE}")
    async with aiormq.connect(amqp_url) as connection:
        channel = await connection.channel()
        for nested in (False, True):
            await channel.queue_delete(names.work(names.key("default", nested=nested)))
        await channel.queue_delete(names.dead)
        for exchange in (names.requests, names.replies, names.control, names.dead):
            await channel.exchange_delete(exchange)


@pytest.fixture
def start_worker(
    amqp_url: str, prefix: str, lane: str, tmp_path: Path
) -> Iterator[Callable[[], BlockingWorker]]:
    with contextlib.ExitStack() as workers:

        def start() -> BlockingWorker:
            worker = BlockingWorker(amqp_url, prefix, lane, tmp_path / "worker.log")
            workers.callback(worker.close)
            return worker

        yield start


async def test_a_body_that_blocks_for_ten_heartbeats_runs_once_and_costs_no_link(
    amqp_url: str, prefix: str, lane: str, start_worker: Callable[[], BlockingWorker]
) -> None:
    worker = start_worker()
    options = {"prefix": prefix, "fast": lane == "fast"}

    async with connect(amqp_url, namespace=NAMESPACE, **options):
        neighbours = [asyncio.create_task(wait(f"neighbour {n}", 0.5)) for n in range(10)]
        await asyncio.sleep(0.2)
        begin = time.monotonic()
        runs = await block("blocks", 10 * HEARTBEAT)
        lasted = time.monotonic() - begin
        runs_of_neighbours = await asyncio.gather(*neighbours)
        after = await wait("after", 0)

    assert (runs, runs_of_neighbours, after) == (1, [1] * 10, 1)
    assert lasted >= 10 * HEARTBEAT
    assert "lost the link" not in worker.log
    blocked = re.search(r"(\S+) \S+ has blocked the event loop for (\S+) s", worker.log)
    assert blocked is not None, worker.log
    assert blocked[1].endswith("blocking:block")
    assert 1.0 <= float(blocked[2]) < 2.0
    assert "time.sleep(seconds)" in worker.log
    assert re.search(r"turns again: \S+:block \S+ blocked it for 10\.\d s", worker.log)


async def test_a_caller_that_blocks_for_ten_heartbeats_keeps_its_link(
    amqp_url: str,
    prefix: str,
    lane: str,
    start_worker: Callable[[], BlockingWorker],
    caplog: pytest.LogCaptureFixture,
) -> None:
    start_worker()
    options = {"prefix": prefix, "fast": lane == "fast", "heartbeat": HEARTBEAT}

    with caplog.at_level(logging.INFO):
        async with connect(amqp_url, namespace=NAMESPACE, **options):
            call = asyncio.create_task(wait("waits", 0.5))
            await asyncio.sleep(0.2)
            time.sleep(10 * HEARTBEAT)  # noqa: ASYNC251  # what is tested
            runs = await asyncio.wait_for(call, 5)
            # A link that was taken for dead goes a little later.
            await asyncio.sleep(2.5 * HEARTBEAT)
            after = await wait("after", 0)

    assert (runs, after) == (1, 1)
    assert "lost the link" not in caplog.text


@pytest.mark.parametrize("lane", ["fast"], indirect=True)
async def test_a_call_survives_a_link_that_is_half_open(
    amqp_url: str,
    prefix: str,
    start_worker: Callable[[], BlockingWorker],
    caplog: pytest.LogCaptureFixture,
) -> None:
    start_worker()
    url = URL(amqp_url)
    assert url.host is not None

    with Proxy(url.host, url.port or 5672) as proxy:
        behind = str(url.with_host("127.0.0.1").with_port(proxy.port))
        async with connect(behind, namespace=NAMESPACE, prefix=prefix):
            call = asyncio.create_task(wait("waits", 1.0))
            await asyncio.sleep(0.5)
            proxy.freeze()
            async with asyncio.timeout(5):
                while "lost the link" not in caplog.text:  # noqa: ASYNC110  # nobody tells
                    await asyncio.sleep(0.05)
            proxy.thaw()
            runs = await asyncio.wait_for(call, 5)

    assert runs == 1
