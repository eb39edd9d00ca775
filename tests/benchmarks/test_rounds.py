"""How calls are kept in flight, turns are taken, and contenders are chosen."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import rounds
from benchmarks.contenders import CONTENDERS, Contender


async def test_as_many_calls_as_asked_for_are_in_flight() -> None:
    running = most = 0

    async def echo(value: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return value

    made = await rounds.keep_in_flight(echo, 1, flight=7, seconds=0.01)

    assert (most, running) == (7, 0)
    assert made >= 7


async def test_a_wrong_answer_is_no_measurement() -> None:
    async def wrong(value: int) -> int:
        return value + 1

    with pytest.raises(RuntimeError, match="wrong answer"):
        await rounds.keep_in_flight(wrong, 1, flight=1, seconds=0.01)


def test_turns_alternate() -> None:
    taken: list[str] = []

    rounds.take_turns(2, ["a", "b"], taken.append)

    assert taken == ["a", "b", "a", "b"]


def test_contenders_that_are_not_installed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Contender("absent", "ours", "no_such_library.aio")
    monkeypatch.setitem(CONTENDERS, "absent", absent)

    found, notes = rounds.chosen(argparse.Namespace(only=["atasks_ng", "absent"]))

    assert [each.name for each in found] == ["atasks_ng"]
    assert notes == ["not installed: absent (pip install atasks_ng[bench])"]


def test_connecting_loads_what_connecting_needs() -> None:
    # Start-up is measured in steps: what a step loads must not have been loaded before.
    show = "import sys; print('aiormq' in sys.modules)"
    load = "from benchmarks.contenders import CONTENDERS; CONTENDERS['atasks_ng'].load()"

    done = subprocess.run(
        [sys.executable, "-c", f"{load}; {show}"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "False\n"
