"""Every program does with tasks what it does without."""

from __future__ import annotations

import pytest

from . import differences
from .programs import all_programs
from .running import Outcome, run_decorated, run_undecorated
from .table import PROGRAMS, Program

EVERYWHERE = list(all_programs())
ON_AMQP = [program for program in EVERYWHERE if not program.shared]


@pytest.mark.usefixtures("log_file")
@pytest.mark.parametrize("program", EVERYWHERE, ids=str)
def test_program_is_the_same_on_loopback(program: Program, namespace: str) -> None:
    before = run_undecorated(program)

    after = run_decorated(program, "loopback://", namespace)

    compare(before, after, program.name in differences.EVERYWHERE)


@pytest.mark.parametrize("program", ON_AMQP, ids=str)
def test_program_is_the_same_on_amqp(program: Program, namespace: str, workers: str) -> None:
    before = run_undecorated(program)

    after = run_decorated(program, workers, namespace)

    if program.concurrent:
        before, after = before.in_lanes(), after.in_lanes()
    if program.name not in differences.SOMETIMES:
        differs = {*differences.EVERYWHERE, *differences.OVER_A_NETWORK}
        compare(before, after, program.name in differs)


def test_differences_are_of_programs() -> None:
    tables = [differences.EVERYWHERE, differences.OVER_A_NETWORK, differences.SOMETIMES]

    assert [name for table in tables for name in table if name not in PROGRAMS] == []


def compare(before: Outcome, after: Outcome, differs: bool) -> None:
    assert [name for name, _ in after.stray if name not in differences.SOMETIMES] == []
    if differs:
        assert after.what != before.what, "no difference any more: take it out of differences.py"
    else:
        assert after.what == before.what
