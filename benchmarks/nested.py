"""A tree of calls on one worker: Fibonacci numbers by two calls each."""

from __future__ import annotations

import argparse
import time

from . import rounds
from .contenders import Calls
from .surroundings import Meter
from .tables import Figures, Table


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this measurement."""
    rounds.add_options(parser)
    rounds.add_contenders(parser)
    parser.add_argument("--n", type=int, default=12, help="which number (default: %(default)s)")
    parser.add_argument(
        "--trees", type=int, default=5, help="of a turn, one by one (default: %(default)s)"
    )


def quicken(options: argparse.Namespace) -> None:
    """Make the run short."""
    options.rounds, options.trees, options.n = 1, 1, 6


def tree_size(n: int) -> int:
    """Return how many calls the tree of a number has."""
    return 1 if n < 2 else 1 + tree_size(n - 1) + tree_size(n - 2)


def run(options: argparse.Namespace) -> list[Table]:
    """Measure."""
    size = tree_size(options.n)

    async def measure(calls: Calls, meter: Meter) -> Figures:
        await calls["fibonacci"](min(8, options.n))
        meter.start()
        times = []
        for _ in range(options.trees):
            begin = time.perf_counter()
            await calls["fibonacci"](options.n)
            times.append(time.perf_counter() - begin)
        # The fastest, not the middle one: a tree is too long to be lucky.
        return {"ms": min(times) * 1e3, **meter.per(options.trees * size)}

    found, notes = rounds.compare(options, measure)
    title = (
        f"fibonacci({options.n}) on one worker: {size:,} calls; "
        f"best of {options.trees} trees a turn"
    )
    return [rounds.table(title, "ms", found, notes)]
