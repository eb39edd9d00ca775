"""Rounds: what is compared takes turns, so that whatever else the machine does meets all alike."""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from scenarios._progress import progress

from . import surroundings
from .contenders import CONTENDERS, Calls, Contender, workers
from .surroundings import Broker, Meter
from .tables import Table

T = TypeVar("T")

#: Rows whose ratios matter most, and rows that they are compared with.
OURS = ("atasks_ng",)
REFERENCES = ("aiormq", "aio-pika-rpc", "grpc.aio")

Measure = Callable[[Calls, Meter], Awaitable[T]]


def add_options(parser: argparse.ArgumentParser, rounds: int = 5) -> None:
    """Add the option that says how many rounds."""
    parser.add_argument(
        "--rounds", type=_positive, default=rounds, help="turns of each (default: %(default)s)"
    )


def add_contenders(parser: argparse.ArgumentParser) -> None:
    """Add the option that says who is compared."""
    known = list(CONTENDERS)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=known,
        default=known,
        metavar="CONTENDER",
        help=f"whom to measure, of {', '.join(known)} (default: all that are installed)",
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


def chosen(options: argparse.Namespace) -> tuple[list[Contender], list[str]]:
    """Return the contenders to measure, and a note on those that are not installed."""
    all_of_them = [CONTENDERS[name] for name in options.only]
    absent = [each.name for each in all_of_them if not each.is_installed]
    notes = [f"not installed: {', '.join(absent)} (pip install atasks_ng[bench])"] if absent else []
    return [each for each in all_of_them if each.is_installed], notes


def compare(
    options: argparse.Namespace, measure: Measure[T]
) -> tuple[dict[str, list[T]], list[str]]:
    """
    Measure each contender in each round, with a fresh worker and a fresh connection.

    Returns:
        By contender, what each round found; and notes for the table.
    """
    contenders, notes = chosen(options)
    found: dict[str, list[T]] = {each.name: [] for each in contenders}
    with surroundings.broker(options.url) as node:

        def turn(contender: Contender) -> None:
            found[contender.name].append(one_turn(contender, node, measure))

        take_turns(options.rounds, contenders, turn)
    return found, notes


def take_turns(rounds: int, those: Sequence[T], turn: Callable[[T], None]) -> None:
    """Call a function with each of some things, several times over, and show how far it is."""
    with progress(rounds * len(those), "turns") as bar:
        for _ in range(rounds):
            for each in those:
                turn(each)
                bar.update(1)


def one_turn(
    contender: Contender, node: Broker, measure: Measure[T], *, count: int = 1, **options: Any
) -> T:
    """Return what is measured of a contender with workers of its own."""
    with workers(contender, node.url, count) as (place, pids):
        broker_pids = [] if node.pid is None else [node.pid]
        meter = Meter({"caller": [os.getpid()], "worker": pids, "broker": broker_pids})

        async def run() -> T:
            async with contender.connect(place, **options) as calls:
                return await measure(calls, meter)

        return asyncio.run(run())


async def keep_in_flight(
    call: Callable[[Any], Awaitable[Any]], value: Any, flight: int, seconds: float
) -> int:
    """
    Make calls for some time, always as many at once.

    Returns:
        How many calls were made; all have ended.

    Raises:
        RuntimeError: An answer was wrong.
    """
    until = time.perf_counter() + seconds
    made = 0

    async def one_after_the_other() -> None:
        nonlocal made
        while True:
            if await call(value) != value:
                raise RuntimeError("a wrong answer")
            made += 1
            if time.perf_counter() > until:
                return

    await asyncio.gather(*(one_after_the_other() for _ in range(flight)))
    return made


def table(
    title: str,
    main: str,
    found: Mapping[str, Sequence[Mapping[str, float]]],
    notes: Sequence[str] = (),
    others: Sequence[str] = surroundings.CPU_COLUMNS,
) -> Table:
    """Return the table of a comparison of contenders."""
    also = [figure for figure in others if figure.startswith("CPU")]
    return Table(title, main, found, others, REFERENCES, OURS, also, notes)
