"""How calls are kept in flight, turns are taken, and contenders are chosen."""

from __future__ import annotations

import argparse
import asyncio

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
