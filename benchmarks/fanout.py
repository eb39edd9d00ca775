"""Calls that await several calls at once: how many a second, all of them counted."""

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
        "--flight", type=int, default=20, help="root calls in flight (default: %(default)s)"
    )
    parser.add_argument(
        "--width", type=int, default=10, help="nested calls of each (default: %(default)s)"
    )


def quicken(options: argparse.Namespace) -> None:
    """Make the run short."""
    options.rounds, options.seconds = 1, 0.2


def run(options: argparse.Namespace) -> list[Table]:
    """Measure."""

    async def measure(calls: Calls, meter: Meter) -> Figures:
        async def keep(seconds: float) -> int:
            # A root returns the sum of its nested calls' ones: its own argument.
            roots: int = await rounds.keep_in_flight(
                calls["fan_out"], options.width, options.flight, seconds
            )
            return roots * int(options.width + 1)

        await keep(options.seconds / 5)
        meter.start()
        made = await keep(options.seconds)
        return {"calls/s": made / meter.seconds, **meter.per(made)}

    found, notes = rounds.compare(options, measure)
    title = f"roots that gather {options.width} nested calls, {options.flight} roots in flight"
    return [rounds.table(title, "calls/s", found, notes)]
