"""What the manual says of the code is so."""

from __future__ import annotations

import gc
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from atasks_ng.cli.parser import make_parser
from atasks_ng.protocol.callee import CALLEE
from atasks_ng.protocol.caller import CALLER
from atasks_ng.words import errors

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.rst"))


@pytest.fixture(autouse=True)
def no_collection_while_parsing() -> Iterator[None]:
    """
    Collect garbage before, not while, source is parsed.

    Python 3.11 cannot parse while it parses; an exception that is logged by a finalizer does that.
    """
    gc.collect()
    gc.disable()
    yield
    gc.enable()


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


# -- commands ----------------------------------------------------------------------------------


def sessions() -> Iterator[tuple[str, str]]:
    """Yield each command that a page shows with what it prints, and that."""
    for page in PAGES:
        for block in re.findall(r"code-block:: console\n\n((?:   .+\n)+)", page.read_text()):
            for session in block.split("   $ ")[1:]:
                command, _, printed = session.partition("\n")
                yield command, printed.replace("   ", "", 1).replace("\n   ", "\n")


@pytest.mark.parametrize(("command", "printed"), list(sessions()))
def test_command_prints_what_a_page_shows(command: str, printed: str) -> None:
    python, module, package, name, *options = shlex.split(command)
    assert (python, module, package) == ("python", "-m", "scenarios")
    # That it prints the same over a broker is shown by the tests of the scenarios.
    assert options in ([], ["--on", "amqp", "--workers", "2"])

    done = subprocess.run(
        [sys.executable, module, package, name],
        cwd=ROOT,
        env={**os.environ, "ATASKS_NG_URL": "loopback://"},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )

    assert done.stdout == printed


def commands() -> Iterator[str]:
    """Yield each line of a page that starts a worker or a program."""
    for page in PAGES:
        yield from re.findall(r"^ {3}atasks-ng (.+)$", page.read_text(), re.MULTILINE)


@pytest.mark.parametrize("line", list(commands()))
def test_command_can_be_parsed(line: str) -> None:
    assert make_parser().parse_args(shlex.split(line)).perform


def test_names_of_the_predecessor_exist() -> None:
    text = (DOCS / "guide" / "migrating.rst").read_text()
    (old,) = re.findall(r"\n\n(``JobNotFound``.+?)\n\n", text, re.DOTALL)
    names = re.findall(r"``(\w+)``", old)

    places = [importlib.import_module(f"atasks_ng.{each}") for each in ("router", "transport.base")]
    assert len(names) == 6
    assert [name for name in names if not any(hasattr(place, name) for place in places)] == []
