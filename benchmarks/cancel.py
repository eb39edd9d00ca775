"""How soon a cancel arrives: from ``task.cancel()`` to ``CancelledError`` in the callee."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from itertools import chain

from . import rounds
from .contenders import CONTENDERS, Calls
from .surroundings import Meter, broker, percentile
from .tables import Figures, Table
from .tasks import echo, wait_for_cancel

_TRIP, _CANCEL = "round trip of an echo", "cancel to CancelledError"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this measurement."""
    parser.add_argument("--samples", type=int, default=2000, help="how many (default: %(default)s)")
    parser.add_argument(
        "--running", type=int, default=50, help="calls that run at once (default: %(default)s)"
    )


def quicken(options: argparse.Namespace) -> None:
    """Make the run short."""
    options.samples = 100


def run(options: argparse.Namespace) -> list[Table]:
    """Measure."""

    async def measure(calls: Calls, meter: Meter) -> tuple[list[list[float]], list[list[float]]]:
        return await _measure(options.samples, options.running)

    with broker(options.url) as node:
        trips, cancels = rounds.one_turn(CONTENDERS["atasks_ng"], node, measure)
    share = percentile([*chain(*cancels)], 0.99) / percentile([*chain(*trips)], 0.99)
    return [
        Table(
            f"{options.samples:,} samples, {options.running} calls running",
            "p50 us",
            {_TRIP: _figures(trips), _CANCEL: _figures(cancels)},
            ("p90 us", "p99 us", "max us"),
            (_TRIP,),
            (_CANCEL,),
            (),
            (f"p99 of a cancel is {share:.2f} round trips at p99",),
        )
    ]


def _figures(turns: list[list[float]]) -> list[Figures]:
    samples = [*chain(*turns)]
    tail = {f"p{share} us": percentile(samples, share / 100) * 1e6 for share in (90, 99)}
    tail["max us"] = max(samples) * 1e6
    return [{"p50 us": statistics.median(turn) * 1e6, **tail} for turn in turns]


async def _measure(samples: int, running: int) -> tuple[list[list[float]], list[list[float]]]:
    trips: list[list[float]] = []
    cancels: list[list[float]] = []
    await asyncio.gather(*(echo(i) for i in range(100)))
    while len(cancels) * running < samples:
        # In turn, so that what else the machine does meets both alike.
        trips.append([await _trip() for _ in range(running)])
        cancels.append(await _cancel_all(running))
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
