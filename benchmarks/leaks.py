"""
``python -m benchmarks leaks``: what is left behind by calls, of which some are interrupted.

Of each ten calls one is cancelled and one ends at its deadline, while a thousand are under way.
Printed is what caller and worker keep after a first fifth, when what is remembered on purpose is
full, and at the end: calls in tables, asyncio tasks, descriptors, memory. Anything left, or memory
that grew by more than the allowance, makes the exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

from atasks_ng import connect

from . import surroundings
from .leaks_tasks import Kept, kept, kept_by_worker, nap

WINDOW = 1000

# The allocator keeps up to 8 MiB that large bodies left free, and what it keeps besides varies by
# some megabytes from run to run.
ALLOWANCE_BYTES = 16 * 1024 * 1024

# The library's own, which come and go: one looks after the link, one asks who serves a queue.
ALLOWANCE_TASKS = 4


@contextlib.contextmanager
def _worker(url: str) -> Iterator[None]:
    command = [sys.executable, "-m", "atasks_ng", "worker", "benchmarks.leaks_tasks"]
    command += ["--url", url, "--concurrency", str(WINDOW), "--log-level", "warning"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


async def _interrupted(number: int, dice: random.Random, outcomes: Counter[str]) -> None:
    """Make one call: each tenth is cancelled, each tenth ends at its deadline."""
    seconds = dice.uniform(0.0, 0.005)
    kind = number % 10
    try:
        if kind == 0:
            call = asyncio.create_task(nap(30.0))
            await asyncio.sleep(seconds)
            call.cancel()
            await call
        elif kind == 1:
            await nap.options(timeout=seconds)(30.0)
        else:
            assert await nap(seconds) == seconds
            outcomes["returned"] += 1
    except asyncio.CancelledError:
        outcomes["cancelled"] += 1
    except TimeoutError:
        outcomes["timed out"] += 1


async def _call_many(count: int, dice: random.Random, outcomes: Counter[str]) -> None:
    numbers = iter(range(count))

    async def one_after_the_other() -> None:
        for number in numbers:
            await _interrupted(number, dice, outcomes)

    await asyncio.gather(*[one_after_the_other() for _ in range(min(WINDOW, count))])


async def _settled() -> tuple[Kept, Kept]:
    """Return what caller and worker keep, once what is under way has arrived."""
    for _ in range(100):
        here, there = kept(), await kept_by_worker()
        if here.calls == 0 and there.calls == 1:
            break
        await asyncio.sleep(0.1)
    return here, there


async def _measure(options: argparse.Namespace, url: str) -> int:
    dice = random.Random(options.seed)
    outcomes: Counter[str] = Counter()
    async with connect(url):
        first = max(options.calls // 5, 10)
        await _call_many(first, dice, outcomes)
        before = await _settled()
        await _call_many(options.calls - first, dice, outcomes)
        after = await _settled()
    print(f"{options.calls} calls: " + ", ".join(f"{n} {how}" for how, n in outcomes.items()))
    print("                calls  tasks  descriptors      MiB")
    for name, *states in zip(("caller", "worker"), before, after, strict=True):
        for when, state in zip(("before", "after"), states, strict=True):
            print(
                f"{name} {when:<7} {state.calls:6} {state.tasks:6} {state.descriptors:12} "
                f"{state.memory_bytes / 2**20:8.1f}"
            )
    left = [*_left_behind(before[0], after[0], own=0), *_left_behind(before[1], after[1], own=1)]
    if sum(outcomes.values()) != options.calls:
        left.append("calls without an outcome")
    print("left behind: " + ", ".join(left) if left else "nothing is left behind")
    return int(bool(left))


def _left_behind(before: Kept, after: Kept, own: int) -> Iterator[str]:
    if after.calls > own:
        yield f"{after.calls - own} calls"
    if after.tasks > before.tasks + ALLOWANCE_TASKS:
        yield f"{after.tasks - before.tasks} asyncio tasks"
    if after.descriptors > before.descriptors:
        yield f"{after.descriptors - before.descriptors} descriptors"
    if after.memory_bytes > before.memory_bytes + ALLOWANCE_BYTES:
        yield f"{(after.memory_bytes - before.memory_bytes) / 2**20:.1f} MiB"


def main(argv: list[str] | None = None) -> int:
    """Run, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leaks", description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--url", help="an AMQP URL; by default a private broker is started")
    options = parser.parse_args(argv)
    with surroundings.broker(options.url) as node, _worker(node.url):
        return asyncio.run(_measure(options, node.url))


if __name__ == "__main__":
    sys.exit(main())
