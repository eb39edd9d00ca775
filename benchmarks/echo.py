"""How many calls a second, many in flight: this library and others, in turn, in one run."""

from __future__ import annotations

import argparse

from . import rounds
from .contenders import Calls
from .surroundings import Meter
from .tables import Figures, Table


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this measurement."""
    rounds.add_options(parser)
    rounds.add_contenders(parser)
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="length of a turn (default: %(default)s)"
    )
    parser.add_argument(
        "--flight", type=int, default=1000, help="calls in flight (default: %(default)s)"
    )


def quicken(options: argparse.Namespace) -> None:
    """Make the run short."""
    options.rounds, options.seconds, options.flight = 1, 0.2, 50


def run(options: argparse.Namespace) -> list[Table]:
    """Measure."""

    async def measure(calls: Calls, meter: Meter) -> Figures:
        echo = calls["echo"]
        await rounds.keep_in_flight(echo, 1, options.flight, options.seconds / 5)
        meter.start()
        made = await rounds.keep_in_flight(echo, 1, options.flight, options.seconds)
        return {"calls/s": made / meter.seconds, **meter.per(made)}

    found, notes = rounds.compare(options, measure)
    title = f"echo, {options.flight:,} in flight; processor time of each process, us a call"
    return [rounds.table(title, "calls/s", found, notes)]
