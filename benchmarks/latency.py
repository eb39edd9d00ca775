"""How long one call takes when nothing else goes on."""

from __future__ import annotations

import argparse
import time

from . import rounds
from .contenders import Calls
from .surroundings import CPU_COLUMNS, Meter, percentile
from .tables import Figures, Table

_WARM_UP = 100


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this measurement."""
    rounds.add_options(parser)
    rounds.add_contenders(parser)
    parser.add_argument("--calls", type=int, default=2000, help="of a turn (default: %(default)s)")


def quicken(options: argparse.Namespace) -> None:
    """Make the run short."""
    options.rounds, options.calls = 1, 100


def run(options: argparse.Namespace) -> list[Table]:
    """Measure."""

    async def measure(calls: Calls, meter: Meter) -> Figures:
        echo = calls["echo"]
        for _ in range(_WARM_UP):
            await echo(1)
        meter.start()
        trips = []
        for _ in range(options.calls):
            begin = time.perf_counter()
            await echo(1)
            trips.append((time.perf_counter() - begin) * 1e6)
        return {
            "p50 us": percentile(trips, 0.5),
            "p99 us": percentile(trips, 0.99),
            **meter.per(options.calls),
        }

    found, notes = rounds.compare(options, measure)
    title = f"echo, one in flight, {options.calls:,} calls a turn"
    return [rounds.table(title, "p50 us", found, notes, ("p99 us", *CPU_COLUMNS))]
