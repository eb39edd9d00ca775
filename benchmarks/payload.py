"""How many bytes a second: an echo of larger and larger arguments."""

from __future__ import annotations

import argparse
import os

from . import rounds
from .contenders import Calls
from .surroundings import CPU_COLUMNS, Meter
from .tables import Figures, Table

_SIZES = {"1 KiB": 1024, "100 KiB": 100 * 1024, "1 MiB": 1024 * 1024}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this measurement."""
    rounds.add_options(parser)
    rounds.add_contenders(parser)
    parser.add_argument(
        "--seconds", type=float, default=1.5, help="for one size (default: %(default)s)"
    )
    parser.add_argument(
        "--flight", type=int, default=4, help="calls in flight (default: %(default)s)"
    )


def quicken(options: argparse.Namespace) -> None:
    """Make the run short."""
    options.rounds, options.seconds = 1, 0.1


def run(options: argparse.Namespace) -> list[Table]:
    """Measure."""

    async def measure(calls: Calls, meter: Meter) -> dict[str, Figures]:
        return {name: await _one_size(calls, meter, size) for name, size in _SIZES.items()}

    async def _one_size(calls: Calls, meter: Meter, size: int) -> Figures:
        value = os.urandom(size)
        await rounds.keep_in_flight(calls["echo"], value, options.flight, options.seconds / 5)
        meter.start()
        made = await rounds.keep_in_flight(calls["echo"], value, options.flight, options.seconds)
        rate = made / meter.seconds
        return {"MB/s": rate * size / 1e6, "calls/s": rate, **meter.per(made)}

    found, notes = rounds.compare(options, measure)
    return [
        rounds.table(
            f"echo of {name}, {options.flight} in flight; MB/s there, and as many back",
            "MB/s",
            {who: [turn[name] for turn in turns] for who, turns in found.items()},
            notes if name == list(_SIZES)[-1] else (),
            ("calls/s", *CPU_COLUMNS),
        )
        for name in _SIZES
    ]
