"""What the manual says of the code is so."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from atasks_ng.protocol.callee import CALLEE
from atasks_ng.protocol.caller import CALLER
from atasks_ng.words import errors

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.rst"))


@pytest.fixture(scope="module")
def drawn() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS / "_ext"))
        yield importlib.import_module("drawn")


def rows(table: str) -> int:
    """Return how many rows a list table has, the head not counted."""
    return table.count("\n   * - ") - 1


def test_tables_have_a_row_for_each_transition(drawn: ModuleType) -> None:
    assert rows(drawn.state_table(CALLER)) == len(CALLER)
    assert rows(drawn.state_table(CALLEE)) == len(CALLEE)


def test_table_of_errors_has_all(drawn: ModuleType) -> None:
    table = drawn.error_table()

    classes = errors.AtasksError.__subclasses__() + errors.CallError.__subclasses__()
    missing = [cls.__name__ for cls in classes if f".{cls.__name__}`" not in table]
    assert missing == []


def test_every_file_says_what_it_does(drawn: ModuleType) -> None:
    tree = drawn.file_tree()

    silent = re.findall(r"- ``(.+)``\n     -\n", tree) + re.findall(r"``(.+)`` — \n", tree)
    assert silent == []


@pytest.mark.parametrize("name", ["command", "command worker", "command run", "differences"])
def test_what_is_drawn_is_not_empty(drawn: ModuleType, name: str) -> None:
    assert drawn.DRAWN[name]().strip()


def test_everything_drawn_is_shown(drawn: ModuleType) -> None:
    text = "".join(page.read_text() for page in PAGES)

    assert set(re.findall(r"^\.\. drawn:: (.+)$", text, re.MULTILINE)) == set(drawn.DRAWN)


@pytest.mark.parametrize(("name", "table"), [("CALLER", CALLER), ("CALLEE", CALLEE)])
def test_every_state_has_a_meaning(drawn: ModuleType, name: str, table: dict[Any, Any]) -> None:
    text = drawn.state_list(name, table)

    assert {state for state, _ in table} <= set(re.findall(r"^\w+$", text, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(r"``([\w/.]+(?:\.py|/))``", page.read_text())

    places = (ROOT, ROOT / "atasks_ng")
    assert [name for name in named if not any((place / name).exists() for place in places)] == []
