"""How long a fresh process takes until its first call has returned."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile

from . import rounds
from .contenders import Contender, workers
from .surroundings import broker
from .tables import Figures, Table

_STEPS = ("import ms", "connect ms", "first call ms", "second call ms")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this measurement."""
    rounds.add_options(parser, rounds=10)
    rounds.add_contenders(parser)


def quicken(options: argparse.Namespace) -> None:
    """Make the run short."""
    options.rounds = 1


def run(options: argparse.Namespace) -> list[Table]:
    """Measure."""
    contenders, notes = rounds.chosen(options)
    found: dict[str, list[Figures]] = {each.name: [] for each in contenders}
    with broker(options.url) as node, tempfile.TemporaryDirectory() as folder:
        environment = _environment(folder)

        def turn(contender: Contender) -> None:
            with workers(contender, node.url) as (place, _):
                if not found[contender.name]:
                    _start(contender, place.in_words(), environment)
                found[contender.name].append(_start(contender, place.in_words(), environment))

        rounds.take_turns(options.rounds, contenders, turn)
    title = "a fresh process with asyncio loaded, until its first call has returned"
    return [rounds.table(title, "all ms", found, notes, ("CPU ms", *_STEPS))]


def _environment(folder: str) -> dict[str, str]:
    """Return variables with which what is imported is compiled once, outside of the source tree."""
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": folder}


def _start(contender: Contender, place: str, environment: dict[str, str]) -> Figures:
    command = [sys.executable, "-m", "benchmarks.startup_probe"]
    command += [contender.name, contender.imports, place]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: Figures = json.loads(done.stdout)
    return {"all ms": sum(found[step] for step in _STEPS[:3]), **found}
