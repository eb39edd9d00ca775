"""A broker that stops, dies, freezes, is short of memory, or loses a queue."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable

import aiormq
import pytest

from atasks_ng import connect
from atasks_ng.core import outgoing
from atasks_ng.protocol.calls import CallerTimes
from atasks_ng.router import get_router
from atasks_ng.testing.broker import PrivateBroker
from atasks_ng.transport import get_transport
from atasks_ng.transport.backends.amqp import AMQPTransport
from tests.faults.places import HANGS_AFTER, SLACK, Place, all_of, shown, until

pytestmark = pytest.mark.amqp

IN_FLIGHT = 2000
RUNNING = 1000


@pytest.fixture
def place(node: PrivateBroker, make_place: Callable[[str], Place]) -> Place:
    """A place at the broker of this module."""
    return make_place(node.url)


@contextlib.asynccontextmanager
async def channel_to(node: PrivateBroker) -> AsyncIterator[aiormq.abc.AbstractChannel]:
    """A channel of somebody else."""
    connection = await aiormq.connect(node.url)
    yield await connection.channel()
    await connection.close()


# -- stopped and killed: F27, F28 --------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "workers"), [("stopped", 1), ("killed", 1), ("killed", 2)], ids=str
)
async def test_2000_calls_in_flight_end_when_the_broker_was(
    node: PrivateBroker, place: Place, fault: str, workers: int
) -> None:
    slots = RUNNING // workers
    started = [place.workers.start("--concurrency", slots) for _ in range(workers)]
    for worker in started:
        await worker.ready()
    async with connect(node.url, namespace=place.namespace):
        calls = [
            asyncio.ensure_future(place.tasks.work(f"c{i}", place.gate)) for i in range(IN_FLIGHT)
        ]
        await place.ledger.reaches(RUNNING)

        await asyncio.to_thread(node.kill if fault == "killed" else node.stop)
        # Half of the calls end while there is no broker; the other half has not begun.
        place.gate.touch()
        await place.ledger.reaches(RUNNING, "end")
        await asyncio.to_thread(node.start)
        listening = time.monotonic()

        assert await all_of(calls) == [f"c{i}" for i in range(IN_FLIGHT)]
        taken = time.monotonic() - listening
    reruns = place.ledger.reruns()
    shown("all 2000 calls had ended after the broker listened for", taken)
    shown("bodies that ran again", reruns, "")
    assert taken < 2.0 * SLACK
    # One worker knows what it runs and has run. Of two, the other may be quicker to come back.
    assert reruns <= (0 if workers == 1 else IN_FLIGHT)
    for worker in started:
        assert worker.log().count("lost the link") == 1


async def test_calls_that_wait_for_few_slots_end_soon_when_the_broker_was_killed(
    node: PrivateBroker, place: Place
) -> None:
    slots, count = 20, 600
    await place.workers.start("--concurrency", slots).ready()
    async with connect(node.url, namespace=place.namespace):
        calls = [asyncio.ensure_future(place.tasks.work(f"c{i}", place.gate)) for i in range(count)]
        await place.ledger.reaches(slots)

        await asyncio.to_thread(node.kill)
        place.gate.touch()
        await asyncio.to_thread(node.start)

        await all_of(calls, timeout=2.0 * SLACK)


# -- frozen: F29 -------------------------------------------------------------------------------


async def test_requests_whose_fate_is_unknown_run_once(node: PrivateBroker, place: Place) -> None:
    url = f"{node.url}?heartbeat=1"
    await place.workers.start(url=url).ready()
    links: list[str] = []
    handler = _Collector(links)
    logging.getLogger("atasks_ng.amqp").addHandler(handler)
    async with connect(url, namespace=place.namespace):
        assert await place.tasks.echo(1) == 1
        node.pause()
        begin = time.monotonic()
        try:
            calls = [asyncio.ensure_future(place.tasks.work(f"c{i}")) for i in range(100)]
            await until(lambda: any("lost the link" in line for line in links))
            shown("a frozen broker was noticed after", time.monotonic() - begin)
        finally:
            node.resume()

        assert await all_of(calls) == [f"c{i}" for i in range(100)]
    logging.getLogger("atasks_ng.amqp").removeHandler(handler)
    assert place.ledger.count() == 100


class _Collector(logging.Handler):
    """Keeps what is logged."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())


# -- short of memory: F30 ----------------------------------------------------------------------


async def test_calls_wait_and_deadlines_hold_while_the_broker_is_short_of_memory(
    node: PrivateBroker, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    worker = await place.workers.start("--concurrency", 600).ready()
    async with connect(node.url, namespace=place.namespace):
        running = [asyncio.ensure_future(place.tasks.work(f"r{i}", place.gate)) for i in range(50)]
        await place.ledger.reaches(50)
        transport = get_transport(place.namespace)
        assert isinstance(transport, AMQPTransport)
        await asyncio.to_thread(node.ctl, "set_vm_memory_high_watermark", "0.000001")
        try:
            waiting = [asyncio.ensure_future(place.tasks.work(f"w{i}")) for i in range(500)]
            # The broker says so when the first message comes that it does not take.
            await until(lambda: not transport.is_writable)
            begin = time.monotonic()
            with pytest.raises(TimeoutError):
                await place.tasks.work.options(timeout=0.5)("late")
            late = time.monotonic() - begin - 0.5
            given_up = asyncio.ensure_future(place.tasks.work("given up"))
            await asyncio.sleep(0)
            begin = time.monotonic()
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
            cancelled = time.monotonic() - begin
            place.gate.touch()
            await place.ledger.reaches(50, "end")
            assert place.ledger.count() == 50
            assert not any(call.done() for call in waiting)
        finally:
            await asyncio.to_thread(node.ctl, "set_vm_memory_high_watermark", "0.4")
        cleared = time.monotonic()

        assert await all_of(running + waiting) == [
            *[f"r{i}" for i in range(50)],
            *[f"w{i}" for i in range(500)],
        ]
        resumed = time.monotonic() - cleared
    shown("the deadline was told late by", late * 1000, "ms")
    shown("all 550 calls had ended after the alarm was over for", resumed)
    assert late < 0.05 * SLACK
    # It never left, so that nobody is asked whether it runs; and no more does the late one.
    assert cancelled < 0.05 * SLACK
    assert place.ledger.count(key="late") == place.ledger.count(key="given up") == 0
    assert resumed < 1.0 * SLACK
    assert place.ledger.reruns() == 0
    told = [each.getMessage() for each in caplog.records if "was blocked" in each.getMessage()]
    assert len(told) == 1
    assert "low on memory" in told[0]
    assert "lost the link" not in caplog.text + worker.log()


async def test_cancel_reaches_a_body_whose_request_waits_to_be_sent_again(
    node: PrivateBroker, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 5 s: too long for a test.
    monkeypatch.setattr(outgoing, "_SWEEP_EVERY", 0.1)
    await place.workers.start().ready()
    async with connect(node.url, namespace=place.namespace):
        get_router(place.namespace).times = CallerTimes(overdue=0.5)
        running = asyncio.ensure_future(place.tasks.work("running", place.gate))
        await place.ledger.reaches(1)
        (begun,) = place.ledger.entries()
        transport = get_transport(place.namespace)
        assert isinstance(transport, AMQPTransport)
        session = transport._session
        assert session is not None
        await asyncio.to_thread(node.ctl, "set_vm_memory_high_watermark", "0.000001")
        try:
            waiting = asyncio.ensure_future(place.tasks.work("waiting"))
            # The copy that ran has left long ago; this one has not.
            await until(lambda: session.holds(begun.id))
            running.cancel()
        finally:
            await asyncio.to_thread(node.ctl, "set_vm_memory_high_watermark", "0.4")

        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, HANGS_AFTER)
        await place.ledger.reaches(1, "cancelled", key="running")
        assert await asyncio.wait_for(waiting, HANGS_AFTER) == "waiting"
    assert place.ledger.count(key="running") == 1


# -- a queue is deleted, or emptied: F32 -------------------------------------------------------


async def test_deleted_queue_is_declared_again_within_a_second(
    node: PrivateBroker, place: Place
) -> None:
    await place.workers.start().ready()
    async with channel_to(node) as channel, connect(node.url, namespace=place.namespace):
        running = asyncio.ensure_future(place.tasks.work("running", place.gate))
        await place.ledger.reaches(1)

        await channel.queue_delete(place.queue())
        begin = time.monotonic()
        assert await asyncio.wait_for(place.tasks.work("after"), HANGS_AFTER) == "after"
        taken = time.monotonic() - begin
        place.gate.touch()

        assert await asyncio.wait_for(running, HANGS_AFTER) == "running"
    shown("a call after its queue was deleted took", taken)
    assert taken < 1.0 * SLACK
    assert place.ledger.count() == 2


async def test_calls_whose_requests_were_purged_are_sent_again(
    node: PrivateBroker, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 30 s and 5 s: too long for a test.
    monkeypatch.setattr(outgoing, "_SWEEP_EVERY", 0.1)
    await place.workers.start("--concurrency", 1).ready()
    async with channel_to(node) as channel, connect(node.url, namespace=place.namespace):
        get_router(place.namespace).times = CallerTimes(overdue=1.0)
        busy = asyncio.ensure_future(place.tasks.work("busy", place.gate))
        await place.ledger.reaches(1)
        calls = [asyncio.ensure_future(place.tasks.work(f"c{i}")) for i in range(5)]

        purged = 0
        while purged < 5:
            purged += (await channel.queue_purge(place.queue())).message_count or 0
        place.gate.touch()

        assert await all_of([busy, *calls]) == ["busy", *[f"c{i}" for i in range(5)]]
    assert place.ledger.count() == 6
