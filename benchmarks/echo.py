"""How many calls a second, many in flight: this library and others, in turn, in one run."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from atasks_ng.testing.broker import PrivateBroker

from . import surroundings
from .contenders import CONTENDERS, Contender, cpu_seconds, worker


@dataclasses.dataclass(frozen=True)
class Sample:
    """One round of one contender; processor time in microseconds a call."""

    rate: float
    caller: float
    worker: float
    broker: float


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this measurement."""
    parser.add_argument("--calls", type=int, default=10_000, help="a round (default: %(default)s)")
    parser.add_argument(
        "--flight", type=int, default=1000, help="calls in flight (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument(
        "--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), help="contenders"
    )


def run(options: argparse.Namespace) -> int:
    """Measure, and print the table."""
    rounds = 1 if options.quick else options.rounds
    calls = 500 if options.quick else options.calls
    chosen = [CONTENDERS[name] for name in options.only]
    absent = [contender.name for contender in chosen if not contender.is_installed]
    chosen = [contender for contender in chosen if contender.is_installed]
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in chosen}
    with PrivateBroker() as node:
        for _ in range(rounds):
            for contender in chosen:
                samples[contender.name].append(_round(contender, node, calls, options.flight))
    print(f"{surroundings.machine()}; {calls} calls, {options.flight} in flight, {rounds} rounds")
    _print(samples)
    if absent:
        print(f"not installed: {', '.join(absent)} (pip install '.[bench]')")
    return 0


def _round(contender: Contender, node: PrivateBroker, calls: int, flight: int) -> Sample:
    with worker(contender, node.url) as (pid, port):
        return asyncio.run(_measure(contender, node, pid, port, calls, flight))


async def _measure(
    contender: Contender, node: PrivateBroker, pid: int, port: int, calls: int, flight: int
) -> Sample:
    broker = node.pid
    assert broker is not None
    async with contender.connect(node.url, port) as call:
        await _keep_in_flight(call, min(calls, 1000), flight)
        pids = (os.getpid(), pid, broker)
        before = [cpu_seconds(each) for each in pids]
        begin = time.perf_counter()
        await _keep_in_flight(call, calls, flight)
        spent = time.perf_counter() - begin
        used = [
            (cpu_seconds(each) - old) / calls * 1e6 for each, old in zip(pids, before, strict=True)
        ]
    return Sample(calls / spent, *used)


async def _keep_in_flight(call: Callable[[Any], Awaitable[Any]], calls: int, flight: int) -> None:
    left = iter(range(calls))

    async def one_after_the_other() -> None:
        for number in left:
            if await call(number) != number:
                raise RuntimeError(f"a wrong answer to {number}")

    await asyncio.gather(*(one_after_the_other() for _ in range(flight)))


def _print(samples: dict[str, list[Sample]]) -> None:
    columns = ("calls/s", "min", "max", "x aiormq", "caller us", "worker us", "broker us")
    print(f"{'':<18}" + "".join(f"{column:>11}" for column in columns))
    base = _median(samples.get("aiormq", []), "rate")
    for name, found in samples.items():
        rate = _median(found, "rate")
        assert rate is not None
        rates = [sample.rate for sample in found]
        ratio = f"{rate / base:.2f}" if base else "-"
        figures = [f"{rate:,.0f}", f"{min(rates):,.0f}", f"{max(rates):,.0f}", ratio]
        figures += [f"{_median(found, each):.0f}" for each in ("caller", "worker", "broker")]
        print(f"{name:<18}" + "".join(f"{figure:>11}" for figure in figures))


def _median(samples: list[Sample], what: str) -> float | None:
    return statistics.median(getattr(each, what) for each in samples) if samples else None
