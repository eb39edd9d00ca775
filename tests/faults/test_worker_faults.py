"""Workers that die, stop, freeze, or are killed by what they run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import AsyncIterator

import aiormq
import pytest

from atasks_ng import connect
from atasks_ng.words import errors, hooks
from tests.faults.frames import ACK, PUBLISH, FrameFilter, method_of
from tests.faults.places import HANGS_AFTER, SLACK, Place, WorkerProcess, all_of, link, shown, until


@pytest.fixture
async def caller(place: Place) -> AsyncIterator[None]:
    """Be connected as a caller."""
    async with connect(place.url, namespace=place.namespace):
        yield


# -- killed: F1, F2, F3 ------------------------------------------------------------------------


async def test_calls_of_a_killed_worker_start_on_the_next_within_a_second(
    place: Place, caller: None
) -> None:
    victim = await place.workers.start("--concurrency", 200).ready()
    calls = [asyncio.ensure_future(place.tasks.work(f"c{i}", place.gate)) for i in range(200)]
    await place.ledger.reaches(200)
    other = await place.workers.start("--concurrency", 200).ready()

    killed = victim.kill()
    await place.ledger.reaches(200, pid=other.pid)
    place.gate.touch()

    assert await all_of(calls) == [f"c{i}" for i in range(200)]
    restarted = place.ledger.entries(pid=other.pid)
    assert len(restarted) == len({entry.id for entry in restarted}) == 200
    assert {entry.attempt for entry in restarted} == {2}
    assert place.ledger.count("end") == 200
    assert other.log().count("attempt 2: another worker had it, and is gone") == 200
    first, last = restarted[0].time - killed, restarted[-1].time - killed
    shown("first of 200 calls started again after", first)
    shown("last of them", last)
    assert first < 1.0 * SLACK


async def test_call_that_must_not_run_again_is_lost_with_its_worker(
    place: Place, caller: None
) -> None:
    victim = await place.workers.start().ready()
    call = asyncio.ensure_future(place.tasks.work_once("once", place.gate))
    await place.ledger.reaches(1)
    await place.workers.start().ready()

    victim.kill()

    with pytest.raises(errors.WorkerLostError) as caught:
        await asyncio.wait_for(call, HANGS_AFTER)
    assert caught.value.attempts == 1
    assert place.ledger.count() == 1


class HeldAt:
    """A filter of a worker's link that stops everything at the first frame of a kind."""

    def __init__(self, method: tuple[int, int]) -> None:
        self.reached = threading.Event()
        self._method = method

    def make(self) -> FrameFilter:
        return FrameFilter(self._passes)

    def _passes(self, to_server: bool, frame: bytes) -> bool:
        if to_server and method_of(frame) == self._method:
            self.reached.set()
        return not self.reached.is_set()


async def test_call_of_a_worker_killed_before_its_reply_runs_once_more(
    place: Place, caller: None
) -> None:
    held = HeldAt(PUBLISH)
    with link(place.url, held.make) as (_, url):
        victim = await place.workers.start(url=url).ready()
        call = asyncio.ensure_future(place.tasks.work("body"))
        await until(held.reached.is_set)
        victim.kill()
    other = await place.workers.start().ready()

    assert await asyncio.wait_for(call, HANGS_AFTER) == "body"

    assert [entry.pid for entry in place.ledger.entries("end")] == [victim.pid, other.pid]
    assert place.ledger.count() == 2


@pytest.mark.parametrize("caller_leaves", [False, True], ids=["caller lives", "caller is gone"])
async def test_call_of_a_worker_killed_before_its_ack_is_not_run_again(
    place: Place, channel: aiormq.abc.AbstractChannel, caller_leaves: bool
) -> None:
    held = HeldAt(ACK)
    async with contextlib.AsyncExitStack() as caller:
        await caller.enter_async_context(connect(place.url, namespace=place.namespace))
        with link(place.url, held.make) as (_, url):
            victim = await place.workers.start(url=url).ready()
            assert await asyncio.wait_for(place.tasks.work("body"), HANGS_AFTER) == "body"
            await until(held.reached.is_set)
            if caller_leaves:
                await caller.aclose()
            victim.kill()
        await until(
            lambda: _has_messages(channel, place.queue(), 1), "the request did not come back"
        )

        other = await place.workers.start().ready()
        await until(
            lambda: _has_messages(channel, place.queue(), 0), "the request was not delivered"
        )
        # Only what is acknowledged stays away when its worker goes.
        other.signal(signal.SIGTERM)
        assert await other.ended() == 0

        assert await _has_messages(channel, place.queue(), 0)
        assert [entry.pid for entry in place.ledger.entries()] == [victim.pid]


async def _has_messages(channel: aiormq.abc.AbstractChannel, queue: str, count: int) -> bool:
    declared = await channel.queue_declare(queue, passive=True)
    return declared.message_count == count


# -- stopped: F4 -------------------------------------------------------------------------------


async def test_stopping_worker_ends_what_runs_and_what_awaits_it_and_hands_back_the_rest(
    place: Place, caller: None
) -> None:
    first = await place.workers.start("--concurrency", 2, "--grace", 20).ready()
    running = asyncio.ensure_future(place.tasks.work("running", place.gate))
    suspended = asyncio.ensure_future(place.tasks.work_below("suspended", place.gate))
    await place.ledger.reaches(3)
    rest = [asyncio.ensure_future(place.tasks.work(f"rest{i}")) for i in range(10)]
    second = await place.workers.start().ready()

    first.signal(signal.SIGTERM)
    assert await all_of(rest) == [f"rest{i}" for i in range(10)]
    assert not running.done()
    place.gate.touch()

    assert await all_of([running, suspended]) == ["running", "suspended"]
    assert await first.ended() == 0
    assert place.ledger.reruns() == 0
    assert {entry.pid for entry in place.ledger.entries("end", "suspended-above")} == {first.pid}
    assert place.ledger.count(pid=second.pid) == 10


async def test_call_that_outlives_the_grace_is_cancelled_and_runs_elsewhere(
    place: Place, caller: None
) -> None:
    first = await place.workers.start("--grace", 0.5).ready()
    call = asyncio.ensure_future(place.tasks.work("long", place.gate))
    await place.ledger.reaches(1)
    second = await place.workers.start().ready()

    begin = time.monotonic()
    first.signal(signal.SIGTERM)
    assert await first.ended() == 0
    taken = time.monotonic() - begin
    await place.ledger.reaches(1, pid=second.pid)
    place.gate.touch()

    assert await asyncio.wait_for(call, HANGS_AFTER) == "long"
    assert place.ledger.count("cancelled", pid=first.pid) == 1
    # Going back in good order is no lost attempt.
    assert [entry.attempt for entry in place.ledger.entries()] == [1, 1]
    shown("stopped, with a grace of 0.5 s, after", taken)
    assert taken < 0.5 + 1.0 * SLACK


async def test_second_signal_ends_a_worker_at_once_and_its_calls_run_elsewhere(
    place: Place, caller: None
) -> None:
    first = await place.workers.start("--concurrency", 3).ready()
    calls = [asyncio.ensure_future(place.tasks.work(f"c{i}", place.gate)) for i in range(6)]
    await place.ledger.reaches(3)
    second = await place.workers.start().ready()

    while "leaving at once" not in first.log():
        first.signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
    assert await first.ended() == 128 + signal.SIGTERM
    await place.ledger.reaches(6, pid=second.pid)
    place.gate.touch()

    assert await all_of(calls) == [f"c{i}" for i in range(6)]
    assert place.ledger.reruns() == 3


async def test_several_processes_stop_in_order_and_replace_one_that_was_killed(
    place: Place, caller: None
) -> None:
    workers = await place.workers.start("--processes", 2, "--concurrency", 5).ready(times=2)
    calls = [asyncio.ensure_future(place.tasks.work(f"c{i}", place.gate)) for i in range(10)]
    await place.ledger.reaches(10)
    victim, other = sorted({entry.pid for entry in place.ledger.entries()})
    lost = place.ledger.count(pid=victim)

    os.kill(victim, signal.SIGKILL)
    await place.ledger.reaches(10 + lost)
    await workers.ready(times=3)
    workers.signal(signal.SIGTERM)
    await until(lambda: workers.log().count("a second signal leaves at once") >= 2)
    place.gate.touch()

    assert await all_of(calls) == [f"c{i}" for i in range(10)]
    assert await workers.ended() == 0
    assert place.ledger.reruns() == lost == 5
    assert place.ledger.count(pid=other) >= 5


# -- frozen: F5 --------------------------------------------------------------------------------


async def test_calls_of_a_frozen_worker_run_elsewhere_and_its_late_answers_are_dropped(
    place: Place, caller: None
) -> None:
    records: list[object] = []
    stop_listening = hooks.listen(records.append)
    frozen = await place.workers.start(url=f"{place.url}?heartbeat=1").ready()
    calls = [asyncio.ensure_future(place.tasks.work(f"c{i}", place.own_gate)) for i in range(5)]
    await place.ledger.reaches(5)
    other = await place.workers.start().ready()

    frozen.signal(signal.SIGSTOP)
    begin = time.monotonic()
    await place.ledger.reaches(5, pid=other.pid)
    shown("frozen, its calls started elsewhere after", time.monotonic() - begin)
    place.open_gate(other.pid)
    assert await all_of(calls) == [f"c{i}" for i in range(5)]
    frozen.signal(signal.SIGCONT)
    await until(lambda: "is there again" in frozen.log(), "it does not connect again")
    place.open_gate(frozen.pid)

    dropped = hooks.MessageDropped("late or unknown answer", place.ledger.entries()[0].id)
    await until(lambda: dropped in records, "no late answer")
    stop_listening()
    other.signal(signal.SIGTERM)
    assert await other.ended() == 0
    assert await asyncio.wait_for(place.tasks.work("after"), HANGS_AFTER) == "after"
    assert place.ledger.entries(key="after")[0].pid == frozen.pid
    assert place.ledger.reruns() == 5


# -- killed by what it runs: F7, F9 ------------------------------------------------------------


async def _ends_first(worker: WorkerProcess, call: asyncio.Future[None]) -> bool:
    await until(lambda: call.done() or worker.exit_status is not None)
    return not call.done()


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
async def test_poison_costs_three_workers_and_no_innocent_call(
    place: Place, caller: None, channel: aiormq.abc.AbstractChannel, queue_type: str
) -> None:
    options = f'{{"queue_type": "{queue_type}"}}'
    worker = await place.workers.start_script(50, options).ready()
    innocents = [asyncio.ensure_future(place.tasks.work(f"c{i}", place.gate)) for i in range(40)]
    await place.ledger.reaches(40)

    poison = asyncio.ensure_future(place.tasks.die("poison"))
    deaths = 0
    while await _ends_first(worker, poison):
        assert worker.exit_status == place.tasks.SUICIDE
        deaths += 1
        if deaths == 2:
            # From now on each of them runs alone, and would keep the others waiting.
            place.gate.touch()
        worker = await place.workers.start_script(50, options).ready()

    with pytest.raises(errors.WorkerLostError) as caught:
        await poison
    assert await all_of(innocents) == [f"c{i}" for i in range(40)]
    shown("workers that a poisonous call cost", deaths, "")
    assert deaths == caught.value.attempts == place.ledger.count(key="poison") == 3
    assert worker.exit_status is None
    await until(lambda: _has_messages(channel, place.dead, 1), "it was not kept")
    kept = await channel.basic_get(place.dead, no_ack=True)
    assert kept.header.properties.correlation_id == place.ledger.entries(key="poison")[0].id
    assert kept.header.properties.headers is not None
    assert kept.header.properties.headers["reason"] == "lost with its worker 3 times"
