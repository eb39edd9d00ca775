"""
A caller that can be killed or measured: ``python -m tests.faults.caller PROGRAM URL ARGUMENT``.

``fan_out GATE``   make very many calls at once; print what they cost, as JSON
``orphans GATE``   make calls that wait for a gate which nobody opens
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType

from atasks_ng import connect
from atasks_ng.cli.loading import load_all
from atasks_ng.router import Router, get_router

from .places import HERE

# As short as a test needs: a queue of answers is kept a minute otherwise.
_REPLY_EXPIRES = 1


def _resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# -- very many -----------------------------------------------------------------------------------

# 10,000: how many calls of a process are under way unless a router says otherwise.
IN_FLIGHT, WAITING = 10_000, 90_000


async def fan_out(tasks: ModuleType, url: str, gate: str) -> None:
    async with connect(url, namespace=tasks.NAMESPACE):
        router = get_router(tasks.NAMESPACE)
        await asyncio.gather(*[tasks.echo(i) for i in range(2000)])
        plain = await _plain_bytes()
        closed = Path(gate)
        sizes = [_resident_bytes()]
        calls = [asyncio.ensure_future(tasks.hold(closed)) for _ in range(IN_FLIGHT)]
        await _settled(router)
        sizes.append(_resident_bytes())
        calls += [asyncio.ensure_future(tasks.hold(closed)) for _ in range(WAITING)]
        await _settled(router)
        sizes.append(_resident_bytes())
        under_way = router.pending
        begin = time.monotonic()
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        figures = {
            "bytes_under_way": (sizes[1] - sizes[0]) / IN_FLIGHT - plain,
            "bytes_waiting": (sizes[2] - sizes[1]) / WAITING - plain,
            "under_way": under_way,
            "cancelled": sum(call.cancelled() for call in calls),
            "seconds": time.monotonic() - begin,
            "left": router.pending,
            "echo": await tasks.echo("after"),
        }
    print(json.dumps(figures), flush=True)


async def _plain_bytes() -> float:
    """Return the memory of one task that waits and is none of ours."""
    start = _resident_bytes()
    event = asyncio.Event()
    waiting = [asyncio.ensure_future(event.wait()) for _ in range(IN_FLIGHT)]
    await asyncio.sleep(0)
    found = _resident_bytes() - start
    event.set()
    await asyncio.wait(waiting)
    return found / IN_FLIGHT


async def _settled(router: Router) -> None:
    """Return when no more calls get under way."""
    before = -1
    while router.pending != before:
        before = router.pending
        await asyncio.sleep(0.5)


# -- orphans -------------------------------------------------------------------------------------


async def orphans(tasks: ModuleType, url: str, gate: str) -> None:
    async with connect(url, namespace=tasks.NAMESPACE, reply_expires=_REPLY_EXPIRES):
        # Workers say every second which calls are a second old: this is well between.
        first = asyncio.ensure_future(tasks.nap("first", 0.6))
        await asyncio.sleep(0.3)
        await asyncio.gather(
            tasks.work("orphan", Path(gate)), tasks.work_below("below", Path(gate))
        )
        await first


if __name__ == "__main__":
    program, url, argument = sys.argv[1:]
    (tasks,) = load_all([str(HERE / "faulty_tasks.py")])
    programs = {"fan_out": fan_out, "orphans": orphans}
    asyncio.run(programs[program](tasks, url, argument))
