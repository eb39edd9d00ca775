"""What a call costs when more and more are in flight, and what a second worker adds."""

from __future__ import annotations

import argparse
import os

from . import rounds
from .contenders import CONTENDERS, Calls
from .surroundings import CPU, CPU_COLUMNS, Broker, Meter, broker
from .tables import Figures, Table

_WIDTHS = (10, 100, 1000, 10_000, 100_000)
_BASE = 1000

# A few milliseconds: a body so long that carrying its call is nothing beside it.
_STEPS = 200_000
_BUSY_IN_FLIGHT = 16


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this measurement."""
    rounds.add_options(parser, rounds=3)
    parser.add_argument(
        "--seconds",
        type=float,
        default=3.0,
        help="length of a turn, but each call in flight is made once (default: %(default)s)",
    )
    parser.add_argument(
        "--widths",
        type=int,
        nargs="+",
        default=list(_WIDTHS),
        metavar="CALLS",
        help="calls in flight (default: %(default)s)",
    )


def quicken(options: argparse.Namespace) -> None:
    """Make the run short."""
    options.rounds, options.seconds, options.widths = 1, 0.2, [10, _BASE]


def run(options: argparse.Namespace) -> list[Table]:
    """Measure."""
    with broker(options.url) as node:
        return [_in_flight(options, node), _workers(options, node)]


def _in_flight(options: argparse.Namespace, node: Broker) -> Table:
    found: dict[str, list[Figures]] = {_row(width): [] for width in options.widths}

    def turn(width: int) -> None:
        async def measure(calls: Calls, meter: Meter) -> Figures:
            await rounds.keep_in_flight(calls["echo"], 1, _BASE, options.seconds / 5)
            meter.start()
            made = await rounds.keep_in_flight(calls["echo"], 1, width, options.seconds)
            rate, used = made / meter.seconds, meter.per(made)
            return {"calls/s": rate, **used}

        # The default holds more than 10,000 back in the caller.
        found[_row(width)].append(
            rounds.one_turn(
                CONTENDERS["atasks_ng"], node, measure, max_in_flight=max(options.widths)
            )
        )

    rounds.take_turns(options.rounds, options.widths, turn)
    return Table(
        "atasks_ng: processor time of all processes, by calls in flight",
        CPU,
        found,
        ("calls/s", *CPU_COLUMNS[1:]),
        (_row(_BASE),),
        [name for name in found if name != _row(_BASE)],
    )


def _row(width: int) -> str:
    return f"{width:,} in flight"


def _workers(options: argparse.Namespace, node: Broker) -> Table:
    found: dict[str, list[Figures]] = {"1 worker": [], "2 workers": []}

    async def measure(calls: Calls, meter: Meter) -> Figures:
        busy = calls["count_up"]
        await rounds.keep_in_flight(busy, _STEPS, _BUSY_IN_FLIGHT, options.seconds / 5)
        meter.start()
        made = await rounds.keep_in_flight(busy, _STEPS, _BUSY_IN_FLIGHT, options.seconds)
        return {"calls/s": made / meter.seconds, **meter.per(made)}

    def turn(name: str) -> None:
        count = list(found).index(name) + 1
        found[name].append(rounds.one_turn(CONTENDERS["atasks_ng"], node, measure, count=count))

    rounds.take_turns(options.rounds, list(found), turn)
    return Table(
        f"atasks_ng: bodies that only compute; {os.cpu_count()} processors for everything",
        "calls/s",
        found,
        CPU_COLUMNS,
        ("1 worker",),
        ("2 workers",),
    )
