"""Callers that ask for too much, leave too early, or lose their link."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import aiormq
import pytest

from atasks_ng import connect
from atasks_ng.router import get_router
from tests.faults.places import HANGS_AFTER, ROOT, SLACK, Place, all_of, link, shown, until


@pytest.fixture
async def caller(place: Place) -> AsyncIterator[None]:
    """Be connected as a caller."""
    async with connect(place.url, namespace=place.namespace):
        yield


def caller_process(place: Place, program: str, *arguments: object) -> subprocess.Popen[str]:
    """Start one of the programs of a caller; what it prints can be read."""
    command = [sys.executable, "-m", "tests.faults.caller", program, place.url]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )


# -- too much: F16 -----------------------------------------------------------------------------

CALLS = 100_000
IN_FLIGHT = 10_000


# Ten seconds, on a machine that has time.
@pytest.mark.timeout(120)
async def test_fan_out_of_100000_calls_has_a_bounded_share_under_way_and_of_memory(
    place: Place, channel: aiormq.abc.AbstractChannel
) -> None:
    await place.workers.start("--concurrency", 10).ready()
    process = caller_process(place, "fan_out", place.gate)
    longest = 0

    async def ends() -> bool:
        nonlocal longest
        declared = await channel.queue_declare(place.queue(), passive=True)
        longest = max(longest, declared.message_count or 0)
        return process.poll() is not None

    await until(ends, timeout=100)
    found = json.loads(process.communicate()[0])

    shown("memory of a call under way, beyond that of a task", found["bytes_under_way"], "B")
    shown("memory of a call that waits, beyond that of a task", found["bytes_waiting"], "B")
    shown("100,000 calls cancelled in", found["seconds"])
    # 1 KiB, and what the allocator does not fill of its pages.
    assert found["bytes_waiting"] <= 1280
    assert found["under_way"] == IN_FLIGHT
    assert longest <= IN_FLIGHT
    assert (found["cancelled"], found["left"], found["echo"]) == (CALLS, 0, "after")


# -- gone: F17 ---------------------------------------------------------------------------------


async def test_running_calls_of_a_dead_caller_are_cancelled_down_the_tree(place: Place) -> None:
    await place.workers.start().ready()
    process = caller_process(place, "orphans", place.gate)
    await place.ledger.reaches(4)

    _kill(process)
    killed = time.monotonic()

    await place.ledger.reaches(2, "cancelled")
    shown("orphans were cancelled after", time.monotonic() - killed)
    assert {entry.key for entry in place.ledger.entries("cancelled")} == {"orphan", "below"}
    assert {entry.key for entry in place.ledger.entries("end")} <= {"first"}


def _kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


# -- waiting while things break: F20, F21, F24 -------------------------------------------------


async def test_deadline_holds_while_the_broker_is_away(place: Place) -> None:
    with link(place.url) as (proxy, url):
        async with connect(url, namespace=place.namespace):
            proxy.refuse()
            proxy.cut()
            begin = time.monotonic()
            with pytest.raises(TimeoutError):
                await place.tasks.echo.options(timeout=0.5)("late")
            late = time.monotonic() - begin - 0.5

    shown("the deadline was told late by", late * 1000, "ms")
    assert late < 0.05 * SLACK


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
async def test_awaits_go_on_when_the_link_of_their_caller_is_cut(place: Place, reset: bool) -> None:
    await place.workers.start().ready()
    with link(place.url) as (proxy, url):
        async with connect(url, namespace=place.namespace):
            calls = [
                asyncio.ensure_future(place.tasks.work(f"c{i}", place.gate)) for i in range(50)
            ]
            await place.ledger.reaches(50)

            proxy.refuse()
            assert proxy.cut(reset=reset) == 2
            # The answers are on their way while nobody is there to take them.
            place.gate.touch()
            await place.ledger.reaches(50, "end")
            proxy.refuse(False)
            begin = time.monotonic()

            assert await all_of(calls) == [f"c{i}" for i in range(50)]
            shown("answers came after the network was back by", time.monotonic() - begin)
            assert time.monotonic() - begin < 1.0 * SLACK
    assert place.ledger.count() == 50


async def test_calls_leave_no_table_behind(place: Place, caller: None) -> None:
    await place.workers.start().ready()
    router = get_router(place.namespace)

    for _ in range(5):
        calls = [place.tasks.echo.options(timeout=HANGS_AFTER)(i) for i in range(2000)]
        assert await all_of(calls) == list(range(2000))

    assert router.pending == 0
