"""The table of faults is whole, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults.rst"
NUMBERS = [f"F{number}" for number in range(1, 46)]


def rows() -> list[list[str]]:
    """Return the rows of all tables, each as its cells."""
    found: list[list[str]] = []
    for line in PAGE.read_text().splitlines():
        if line.startswith("   * - "):
            found.append([line[7:]])
        elif line.startswith("     - "):
            found[-1].append(line[7:])
        elif line.startswith("       "):
            found[-1][-1] += f"\n{line.strip()}"
    return [row for row in found if row[0] != "No."]


@cache
def functions_of(file: str) -> frozenset[str]:
    """Return the names of the tests that a file defines."""
    tree = ast.parse((ROOT / file).read_text())
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))


def named(cell: str) -> list[tuple[str, str]]:
    """Return the tests that a cell names: file and function."""
    return re.findall(r"``(tests/[\w/]+\.py)::(test_\w+)``", cell)


def test_every_fault_has_one_row_in_order() -> None:
    assert [row[0] for row in rows()] == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_row_tells_fault_behaviour_and_tests_that_exist(number: str) -> None:
    (row,) = [row for row in rows() if row[0] == number]
    _, fault, behaviour, tests = row

    assert fault.strip()
    assert behaviour.strip()
    assert named(tests)
    assert tests.count("``") == 2 * len(named(tests)), "something else is in the column of tests"
    missing = [
        f"{file}::{name}"
        for file, name in named(tests)
        if not (ROOT / file).is_file() or name not in functions_of(file)
    ]
    assert missing == []


def test_test_that_does_not_exist_is_noticed() -> None:
    assert "test_every_fault_has_one_row_in_order" in functions_of("tests/docs/test_faults.py")
    assert "test_that_nobody_wrote" not in functions_of("tests/docs/test_faults.py")
