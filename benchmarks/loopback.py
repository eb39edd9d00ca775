"""What a call within one process costs, over awaiting the plain coroutine."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from atasks_ng import atask, connect

from . import rounds
from .tables import Figures, Table
from .tasks import echo

_PLAIN = "plain await"
_DIRECT = "loopback, copy=False"
_plain: Callable[[Any], Awaitable[Any]] = echo.__wrapped__
# In a namespace of its own, so that both ways are open in one run.
_direct: Callable[[Any], Awaitable[Any]] = atask(_plain, namespace="direct")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this measurement."""
    rounds.add_options(parser, rounds=7)
    parser.add_argument(
        "--calls", type=int, default=10_000, help="of a turn (default: %(default)s)"
    )
    parser.add_argument(
        "--flight", type=int, default=1000, help="when gathered (default: %(default)s)"
    )


def quicken(options: argparse.Namespace) -> None:
    """Make the run short."""
    options.rounds, options.calls, options.flight = 1, 500, 100


def run(options: argparse.Namespace) -> list[Table]:
    """Measure."""
    return asyncio.run(_measure(options))


async def _measure(options: argparse.Namespace) -> list[Table]:
    calls, flight = options.calls, options.flight
    one_by_one = {
        _PLAIN: lambda: _one_by_one(_plain, calls),
        "a new asyncio task": lambda: _one_by_one(_in_task, calls),
        "loopback": lambda: _one_by_one(echo, calls),
        _DIRECT: lambda: _one_by_one(_direct, calls),
    }
    gathered = {
        _PLAIN: lambda: _gathered(_plain, calls, flight),
        "loopback": lambda: _gathered(echo, calls, flight),
        _DIRECT: lambda: _gathered(_direct, calls, flight),
    }
    async with connect("loopback://"), connect("loopback://?copy=0", namespace="direct"):
        await _gathered(echo, flight, flight)
        return [
            await _table("one after the other", options.rounds, one_by_one),
            await _table(f"{flight:,} gathered at a time", options.rounds, gathered),
        ]


async def _table(how: str, turns: int, ways: Mapping[str, Callable[[], Awaitable[float]]]) -> Table:
    found: dict[str, list[Figures]] = {name: [] for name in ways}
    for _ in range(turns):
        times = {name: await way() for name, way in ways.items()}
        for name, each in times.items():
            found[name].append({"us a call": each, "over plain us": each - times[_PLAIN]})
    title = f"an echo within one process, {how}"
    return Table(title, "us a call", found, ("over plain us",), (_PLAIN,), ("loopback", _DIRECT))


async def _in_task(value: Any) -> Any:
    return await asyncio.create_task(_plain(value))  # type: ignore[arg-type]


async def _one_by_one(function: Callable[[Any], Awaitable[Any]], calls: int) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        await function(1)
    return (time.perf_counter() - begin) / calls * 1e6


async def _gathered(function: Callable[[Any], Awaitable[Any]], calls: int, flight: int) -> float:
    begin = time.perf_counter()
    for _ in range(max(1, calls // flight)):
        await asyncio.gather(*(function(1) for _ in range(flight)))
    return (time.perf_counter() - begin) / (max(1, calls // flight) * flight) * 1e6
