"""How many bytes a call takes while it waits: at its caller, and suspended in a worker."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
from typing import Any, NoReturn

from . import rounds
from .contenders import CONTENDERS, Calls, Place, workers
from .surroundings import Broker, Meter, broker, resident_bytes
from .tables import Figures, Table

_ALONE = "asyncio alone"

# So many calls that for most contenders they take minutes to send, and gigabytes.
_MANY = 50_000
_UP_TO_MANY = ("aiormq", "atasks_ng")

# Longer than any turn, and shorter than whoever forgot one would like.
_HELD = 600

# Less than the default limit of how deep calls may call calls, which is 1000.
_LEVELS = 900


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this measurement."""
    rounds.add_options(parser, rounds=3)
    rounds.add_contenders(parser)
    parser.add_argument(
        "--waiting",
        type=int,
        nargs="+",
        default=[10_000, 100_000],
        metavar="CALLS",
        help="calls that wait at a caller (default: %(default)s)",
    )
    parser.add_argument(
        "--levels", type=int, default=_LEVELS, help="suspended calls (default: %(default)s)"
    )


def quicken(options: argparse.Namespace) -> None:
    """Make the run short."""
    options.rounds, options.waiting, options.levels = 1, [2000], 100


def run(options: argparse.Namespace) -> list[Table]:
    """Measure."""
    contenders, notes = rounds.chosen(options)
    names = [each.name for each in contenders]
    with broker(options.url) as node:
        tables = [
            _waiting(options.rounds, count, names if count < _MANY else _few(names), node)
            for count in options.waiting
        ]
        return [*tables, _suspended(options, names, node, notes)]


# -- at the caller -----------------------------------------------------------------------------


def _few(names: list[str]) -> list[str]:
    return [name for name in names if name in _UP_TO_MANY]


def _waiting(turns: int, count: int, names: list[str], node: Broker) -> Table:
    found: dict[str, list[Figures]] = {name: [] for name in [_ALONE, *names]}

    def turn(name: str) -> None:
        found[name].append({"bytes a call": _probe(name, node, count)})

    rounds.take_turns(turns, list(found), turn)
    return Table(
        f"memory of a caller for each of {count:,} calls that wait; "
        f"{_ALONE}: a task that awaits a future",
        "bytes a call",
        found,
        (),
        (_ALONE, *rounds.REFERENCES),
        rounds.OURS,
    )


def _probe(name: str, node: Broker, count: int) -> float:
    """Return what one caller measures of itself; fresh, as memory once used is not given back."""
    if name == _ALONE:
        return _run_probe(name, Place("", "", 0), count)
    with workers(CONTENDERS[name], node.url) as (place, _):
        return _run_probe(name, place, count)


def _run_probe(name: str, place: Place, count: int) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", name, place.in_words(), str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(done.stdout))


async def _measure_waiting(name: str, place: Place, count: int) -> None:
    if name == _ALONE:
        _tell(await _bytes_a_call(lambda _: asyncio.get_running_loop().create_future(), count))
    contender = CONTENDERS[name]
    more = {"max_in_flight": count + 1} if contender.module == "ours" else {}
    async with contender.connect(place, **more) as calls:
        # What is loaded and allocated once must be there before.
        await rounds.keep_in_flight(calls["echo"], 1, 100, 0.2)
        _tell(await _bytes_a_call(calls["hold"], count))


def _tell(found: float) -> NoReturn:
    print(json.dumps(found), flush=True)
    # At once: no call is to be cancelled, and no complaint made of that.
    os._exit(0)


async def _bytes_a_call(hold: Any, count: int) -> float:
    async def wait() -> None:
        await hold(_HELD)

    gc.collect()
    before = resident_bytes()
    tasks = [asyncio.create_task(wait()) for _ in range(count)]
    await _until_settled()
    used = resident_bytes() - before
    for task in tasks:
        if task.done():
            raise RuntimeError("a call did not wait") from task.exception()
    return used / count


async def _until_settled() -> None:
    """Return when the memory of this process has not grown for a second: all calls are sent."""
    history = [resident_bytes()]
    while len(history) < 3 or history[-1] > history[-3] * 1.001:
        await asyncio.sleep(0.5)
        history.append(resident_bytes())


# -- in a worker -------------------------------------------------------------------------------


def _suspended(
    options: argparse.Namespace, names: list[str], node: Broker, notes: list[str]
) -> Table:
    found: dict[str, list[Figures]] = {name: [] for name in names}

    async def measure(calls: Calls, meter: Meter) -> Figures:
        # A fresh worker, since memory once used is used again; but what it loads first is loaded.
        await calls["descend"](1)
        before = await calls["descend"](0)
        used = await calls["descend"](options.levels) - before
        return {"bytes a level": used / options.levels}

    def turn(name: str) -> None:
        found[name].append(rounds.one_turn(CONTENDERS[name], node, measure))

    rounds.take_turns(options.rounds, names, turn)
    return Table(
        f"memory of a worker for each of {options.levels} calls, each awaiting the next",
        "bytes a level",
        found,
        (),
        rounds.REFERENCES,
        rounds.OURS,
        (),
        notes,
    )


if __name__ == "__main__":
    asyncio.run(_measure_waiting(sys.argv[1], Place.from_words(sys.argv[2]), int(sys.argv[3])))
