"""How soon a cancel arrives: from ``task.cancel()`` to ``CancelledError`` in the callee."""

from __future__ import annotations

import argparse
import asyncio
import time

from atasks_ng import connect

from . import surroundings
from .tasks import echo, wait_for_cancel


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this measurement."""
    parser.add_argument("--samples", type=int, default=2000, help="how many (default: %(default)s)")
    parser.add_argument(
        "--running", type=int, default=50, help="calls that run at once (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Measure, and print the table."""
    samples = 100 if options.quick else options.samples
    with surroundings.broker(options.url) as url, surroundings.workers(url):
        trips, cancels = asyncio.run(_measure(url, samples, options.running))
    print(f"{surroundings.machine()}; {samples} samples, {options.running} calls running")
    print(surroundings.header("microseconds"))
    print(surroundings.row("round trip of an echo", trips))
    print(surroundings.row("cancel to CancelledError", cancels))
    share = surroundings.percentile(cancels, 0.99) / surroundings.percentile(trips, 0.99)
    print(f"p99 of a cancel is {share:.2f} round trips at p99")
    return 0


async def _measure(url: str, samples: int, running: int) -> tuple[list[float], list[float]]:
    trips: list[float] = []
    cancels: list[float] = []
    async with connect(url):
        await asyncio.gather(*(echo(i) for i in range(100)))
        while len(cancels) < samples:
            # In turn, so that what else the machine does meets both alike.
            trips += [await _trip() for _ in range(running)]
            cancels += await _cancel_all(running)
    return trips, cancels


async def _trip() -> float:
    begin = time.monotonic()
    await echo(0)
    return time.monotonic() - begin


async def _cancel_all(running: int) -> list[float]:
    tasks = [asyncio.create_task(wait_for_cancel()) for _ in range(running)]
    # An answer to a call made after them shows that they have started.
    await asyncio.sleep(0)
    await echo(0)
    found = []
    for task in tasks:
        begin = time.monotonic()
        task.cancel()
        found.append(await task - begin)
    return found
