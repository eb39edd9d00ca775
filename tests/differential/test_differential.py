"""Every program does with tasks what it does without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from . import differences
from .programs import all_programs
from .running import Outcome, run_decorated, run_undecorated
from .table import PROGRAMS, Program


def parameter(program: Program) -> Any:
    """Return a program for a test, expected to fail if its defect is known."""
    defect = differences.DEFECTS.get(program.name)
    marks = [pytest.mark.xfail(strict=True, reason=defect)] if defect else []
    return pytest.param(program, marks=marks, id=program.name)


EVERYWHERE = [parameter(program) for program in all_programs()]
ON_AMQP = [parameter(program) for program in all_programs() if not program.shared]


@pytest.mark.usefixtures("log_file")
@pytest.mark.parametrize("program", EVERYWHERE)
@pytest.mark.parametrize(
    ("url", "known"),
    [
        pytest.param("loopback://", differences.EVERYWHERE, id="loopback"),
        pytest.param("loopback://?copy=0", differences.WITHOUT_A_COPY, id="without a copy"),
    ],
)
def test_program_is_the_same_within_one_process(
    program: Program, url: str, known: Mapping[str, str], namespace: str
) -> None:
    before = run_undecorated(program)

    after = run_decorated(program, url, namespace)

    compare(before, after, program.name in known)


@pytest.mark.parametrize("program", ON_AMQP)
def test_program_is_the_same_on_amqp(program: Program, namespace: str, workers: str) -> None:
    before = run_undecorated(program)

    after = run_decorated(program, workers, namespace)

    if program.concurrent:
        before, after = before.in_lanes(), after.in_lanes()
    if program.name not in differences.SOMETIMES:
        differs = {*differences.EVERYWHERE, *differences.OVER_A_NETWORK}
        compare(before, after, program.name in differs)


def test_differences_are_of_programs() -> None:
    tables = [
        differences.EVERYWHERE,
        differences.WITHOUT_A_COPY,
        differences.OVER_A_NETWORK,
        differences.SOMETIMES,
        differences.DEFECTS,
    ]

    assert [name for table in tables for name in table if name not in PROGRAMS] == []


def compare(before: Outcome, after: Outcome, differs: bool) -> None:
    assert [name for name, _ in after.stray if name not in differences.SOMETIMES] == []
    if differs:
        assert after.what != before.what, "no difference any more: take it out of differences.py"
    else:
        assert after.what == before.what
