"""Bodies that do what one should not: end the process, recurse without end, outlast the broker."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from atasks_ng import connect
from atasks_ng.testing.broker import PrivateBroker
from tests.faults.places import HANGS_AFTER, Place, all_of, shown


@pytest.fixture
async def caller(place: Place) -> AsyncIterator[None]:
    """Be connected as a caller."""
    async with connect(place.url, namespace=place.namespace):
        yield


# -- ends of processes: F7, F12 ----------------------------------------------------------------


async def test_neighbours_of_a_body_that_ends_its_process_run_again(
    place: Place, caller: None
) -> None:
    workers = await place.workers.start("--processes", 1, "--concurrency", 50).ready()
    neighbours = [asyncio.ensure_future(place.tasks.work(f"c{i}", place.gate)) for i in range(20)]
    await place.ledger.reaches(20)
    culprit = asyncio.ensure_future(place.tasks.crash_once("culprit", place.folder / "flag"))
    await place.ledger.reaches(42)
    place.gate.touch()

    assert await all_of([*neighbours, culprit]) == [*[f"c{i}" for i in range(20)], "culprit"]
    assert workers.exit_status is None
    assert "SIGSEGV" in workers.log()
    assert place.ledger.reruns() == 21


async def test_thousand_exits_raised_by_bodies_end_no_worker(place: Place, caller: None) -> None:
    worker = await place.workers.start().ready()
    names = ["SystemExit", "KeyboardInterrupt"] * 500

    ends = await asyncio.wait_for(asyncio.gather(*[_end_of(place, name) for name in names]), 30)

    assert ends == [(name, (3,)) for name in names]
    assert worker.exit_status is None
    await place.tasks.work("after")
    assert place.ledger.entries(key="after")[0].pid == worker.pid


async def _end_of(place: Place, name: str) -> tuple[str, tuple[int, ...]]:
    # Caught within the task: asyncio ends its loop on what a task lets through.
    try:
        await place.tasks.leave(name)
    except BaseException as exc:
        return type(exc).__name__, exc.args
    return "none", ()


# -- deep recursion: F15 -----------------------------------------------------------------------


async def test_thousand_levels_end_on_one_worker_with_one_slot(place: Place, caller: None) -> None:
    worker = await place.workers.start("--concurrency", 1).ready()
    await place.tasks.echo(0)
    before = _resident_bytes(worker.pid)
    call = asyncio.ensure_future(place.tasks.descend(999, place.gate))
    await place.ledger.reaches(1000)
    per_level = (_resident_bytes(worker.pid) - before) / 1000
    place.gate.touch()

    assert await asyncio.wait_for(call, HANGS_AFTER) == 999
    assert place.ledger.reruns() == 0
    shown("memory of a worker for one level", per_level / 1024, "KiB")
    assert per_level < 16 * 1024


def _resident_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_thousand_levels_survive_the_only_worker(place: Place, caller: None) -> None:
    victim = await place.workers.start("--concurrency", 1).ready()
    call = asyncio.ensure_future(place.tasks.descend(999, place.gate, 500))
    await place.ledger.reaches(500)
    victim.kill()
    begin = time.monotonic()
    place.gate.touch()

    await place.workers.start("--concurrency", 1).ready()

    assert await asyncio.wait_for(call, 40) == 999
    assert place.ledger.reruns() <= 500
    shown("1000 levels ended, after their worker was killed half-way, in", time.monotonic() - begin)


# -- longer than the broker allows: F18, F31 ---------------------------------------------------

_CONSUMER_TIMEOUT_MS = 1000


@pytest.fixture(scope="module")
def impatient_node() -> Iterator[PrivateBroker]:
    """A broker that takes a delivery back after a second without an acknowledgement."""
    with PrivateBroker({"consumer_timeout": _CONSUMER_TIMEOUT_MS}) as broker:
        # It looks when the channel ticks, which it does once a minute otherwise.
        broker.ctl("eval", "application:set_env(rabbit, channel_tick_interval, 250).")
        yield broker


@pytest.mark.amqp
@pytest.mark.parametrize("workers", [1, 2])
async def test_body_that_outlasts_the_consumer_timeout_runs_once(
    impatient_node: PrivateBroker, make_place: Callable[[str], Place], workers: int
) -> None:
    place = make_place(impatient_node.url)
    started = [place.workers.start() for _ in range(workers)]
    for worker in started:
        await worker.ready()
    async with connect(place.url, namespace=place.namespace):
        calls = [asyncio.ensure_future(place.tasks.nap(f"c{i}", 3.0)) for i in range(5)]

        assert await all_of(calls) == [f"c{i}" for i in range(5)]
        assert await all_of([place.tasks.echo(i) for i in range(5)]) == list(range(5))

    assert any("lost the link" in worker.log() for worker in started)
    assert place.ledger.count() == place.ledger.count("end") == 5
