"""What is around a process: its clock, and its end."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from atasks_ng import connect, timeout
from atasks_ng.codecs import MsgpackCodec, SignedCodec
from atasks_ng.router import get_router
from atasks_ng.words import errors
from tests.faults.places import HANGS_AFTER, ROOT, SLACK, Place, shown

DAY = 86_400

# -- clocks: F42 -------------------------------------------------------------------------------


@pytest.mark.parametrize("skew", [DAY, -DAY])
async def test_worker_whose_clock_is_a_day_off_behaves_the_same(place: Place, skew: int) -> None:
    worker = place.workers.start("--concurrency", 1, ATASKS_NG_FAULTS_SKEW=str(skew))
    await worker.ready()
    async with connect(place.url, namespace=place.namespace):
        assert abs(await place.tasks.time_of_day() - time.time() - skew) < 60

        assert await place.tasks.echo.options(timeout=HANGS_AFTER)("in time") == "in time"
        async with timeout(HANGS_AFTER):
            assert await place.tasks.work_below("below", None) == "below"
        begin = time.monotonic()
        busy = asyncio.ensure_future(place.tasks.work("busy", place.gate))
        await place.ledger.reaches(1, key="busy")
        with pytest.raises(TimeoutError):
            await place.tasks.work.options(timeout=0.3)("late")
        assert 0.3 <= time.monotonic() - begin < HANGS_AFTER
        place.gate.touch()
        assert await asyncio.wait_for(busy, HANGS_AFTER) == "busy"
        assert await place.tasks.echo("after") == "after"

    assert place.ledger.count(key="late") == 0


@pytest.mark.parametrize(("skew", "ends_well"), [(240, True), (-240, True), (DAY, False)])
async def test_clock_of_a_worker_that_is_off_by_more_than_signatures_allow_is_named(
    place: Place, monkeypatch: pytest.MonkeyPatch, skew: int, ends_well: bool
) -> None:
    key = "the key of these tests"
    worker = place.workers.start(ATASKS_NG_FAULTS_SKEW=str(skew), ATASKS_NG_KEY=key)
    await worker.ready()
    SignedCodec(MsgpackCodec(place.namespace), key)
    router = get_router(place.namespace)
    router.times = dataclasses.replace(router.times, worker_grace=1.0)
    async with connect(place.url, namespace=place.namespace):
        call = asyncio.wait_for(place.tasks.echo("value"), HANGS_AFTER)
        if ends_well:
            assert await call == "value"
            return
        with pytest.raises(errors.SignatureError, match="clocks"):
            await call


def test_only_signatures_read_the_wall_clock() -> None:
    readers = set()
    for file in sorted((ROOT / "atasks_ng").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{node.value.id}.{node.attr}"
                if name in ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow"):
                    readers.add(str(file.relative_to(ROOT)))

    assert readers == {"atasks_ng/codecs/signed_codec.py"}


# -- forks, other loops, and the end of a process: F45 -----------------------------------------

FORKED = """
    import asyncio, os, sys
    from atasks_ng import connect
    from atasks_ng.cli.loading import load_all
    from atasks_ng.errors import ForkedError

    url, tasks = sys.argv[1:3]
    (tasks,) = load_all([tasks])

    async def main():
        async with connect(url, namespace=tasks.NAMESPACE):
            await tasks.echo("before")
            child = os.fork()
            if not child:
                try:
                    asyncio.run(tasks.echo("never"))
                except ForkedError:
                    os._exit(7)
                finally:
                    os._exit(1)
            print(await tasks.echo("after"), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    asyncio.run(main())
"""


async def test_child_that_was_forked_is_refused_and_its_parent_goes_on(place: Place) -> None:
    await place.workers.start().ready()
    process = _start(place, FORKED)

    printed, _ = await asyncio.to_thread(process.communicate, timeout=HANGS_AFTER)

    assert printed == "after 7\n"
    assert process.returncode == 0


async def test_another_event_loop_is_refused(place: Place) -> None:
    await place.workers.start().ready()

    async def call() -> str:
        found: str = await place.tasks.echo("value")
        return found

    async with connect(place.url, namespace=place.namespace):
        with pytest.raises(errors.WrongLoopError):
            await asyncio.to_thread(lambda: asyncio.run(call()))
        assert await call() == "value"


PENDING = """
    import asyncio, sys
    from pathlib import Path
    from atasks_ng import connect
    from atasks_ng.cli.loading import load_all

    url, tasks, gate, way = sys.argv[1:]
    (tasks,) = load_all([tasks])

    async def main():
        async with connect(url, namespace=tasks.NAMESPACE):
            calls = [asyncio.create_task(tasks.work(f"c{i}", Path(gate))) for i in range(100)]
            await asyncio.sleep(0.3)
            print("pending", flush=True)
            if way == "leaves":
                sys.exit(5)
            if way == "fails":
                raise LookupError
        ends = await asyncio.gather(*calls, return_exceptions=True)
        print({type(end).__name__ for end in ends})

    asyncio.run(main())
"""


def _start(place: Place, program: str, way: str = "") -> subprocess.Popen[str]:
    tasks = str(Path(__file__).with_name("faulty_tasks.py"))
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), place.url, tasks, str(place.gate), way],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.mark.parametrize(("way", "status"), [("leaves", 5), ("fails", 1), ("goes on", 0)])
async def test_process_with_pending_calls_ends_within_two_seconds(
    place: Place, way: str, status: int
) -> None:
    await place.workers.start().ready()
    process = _start(place, PENDING, way)
    assert process.stdout is not None
    try:
        assert await asyncio.to_thread(process.stdout.readline) == "pending\n"
        begin = time.monotonic()
        printed, _ = await asyncio.to_thread(process.communicate, timeout=HANGS_AFTER)
    finally:
        process.kill()
        process.communicate()

    shown(f"a process that {way}, with 100 pending calls, ended in", time.monotonic() - begin)
    assert time.monotonic() - begin < 2.0 * SLACK
    assert process.returncode == status
    if way == "goes on":
        assert printed == "{'ConnectionLostError'}\n"
