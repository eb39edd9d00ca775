"""
What the manual shows of the code itself: tables as reStructuredText, drawn when it is built.

Nothing here needs Sphinx; ``directive`` makes a directive of it.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import runpy
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from atasks_ng.cli.parser import make_parser
from atasks_ng.protocol import envelopes, tables
from atasks_ng.protocol.callee import CALLEE
from atasks_ng.protocol.caller import CALLER
from atasks_ng.words import errors

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "atasks_ng"

Table = Mapping[tuple[str, str], tuple[str, Sequence[str]]]
Row = Sequence[str]


def state_table(table: Table) -> str:
    """Return a table of transitions, in the order of the source."""
    rows = [
        (state, event, next_state, ", ".join(steps).replace("_", " ") or "nothing")
        for (state, event), (next_state, steps) in table.items()
    ]
    return list_table(
        ("State", "What happens", "Next state", "What is done"), rows, (15, 20, 15, 50)
    )


def state_list(name: str, table: Table) -> str:
    """Return the states of a table with what they mean, as the comment above the table has it."""
    above = inspect.getsource(tables).partition(f"\n{name}: ")[0].rpartition("\n# -- ")[2]
    meanings = dict(re.findall(r"^# (\w+) {2,}(.+)$", above, re.MULTILINE))
    states = dict.fromkeys([*(state for state, _ in table), *(to for to, _ in table.values())])
    return "\n".join(f"{state}\n    {meanings[state]}" for state in states)


def envelope_table() -> str:
    """Return the wire format: number, kind and fields of every envelope."""
    rows = [
        (str(number), cls.__name__.lower(), ", ".join(f"``{name}``" for name in cls._fields[1:]))
        for cls, number in sorted(envelopes._KINDS.items(), key=lambda item: item[1])
    ]
    return list_table(("Number", "Kind", "Fields, in this order"), rows, (10, 20, 70))


def error_table() -> str:
    """Return the tree of errors, with what each can be caught by and what it means."""
    rows = [
        (
            f"{depth * '· '}:class:`~{cls.__module__}.{cls.__qualname__}`",
            ", ".join(f"``{name}``" for name in builtin_bases(cls)),
            summary(cls.__doc__),
        )
        for depth, cls in tree_of(errors.AtasksError)
    ]
    return list_table(("Error", "Also a", "It means"), rows, (30, 20, 50))


def tree_of(root: type, depth: int = 0) -> Iterable[tuple[int, type]]:
    """Yield a class and all below it that the library defines, with their depth."""
    yield depth, root
    for cls in root.__subclasses__():
        if cls.__module__ == errors.__name__:
            yield from tree_of(cls, depth + 1)


def builtin_bases(cls: type) -> list[str]:
    """Return the standard classes that an error is caught by, but for the most general."""
    plain = {object, BaseException, Exception}
    return [
        base.__name__
        for base in cls.__bases__
        if issubclass(base, BaseException) and base.__module__ == "builtins" and base not in plain
    ]


def file_tree() -> str:
    """Return every folder and file of the package, each with its first line of documentation."""
    parts = []
    for folder in sorted({path.parent for path in PACKAGE.rglob("*.py")}):
        name = folder.relative_to(ROOT).as_posix() + "/"
        parts.append(f"``{name}`` — {first_line(folder / '__init__.py')}\n")
        paths = [path for path in sorted(folder.glob("*.py")) if not path.name.startswith("_")]
        if paths:
            rows = [(f"``{path.name}``", first_line(path)) for path in paths]
            parts.append(list_table((), rows, (25, 75)))
    return "\n".join(parts)


def first_line(path: Path) -> str:
    """Return the first sentence of a module's documentation."""
    return summary(ast.get_docstring(ast.parse(path.read_bytes())))


def command_help(command: str) -> str:
    """Return what a command says about itself, as a literal block."""
    os.environ["COLUMNS"] = "88"  # argparse looks there
    parser = make_parser()
    if command:
        (choices,) = (a.choices for a in parser._actions if isinstance(a.choices, dict))
        parser = choices[command]
    return ".. code-block:: none\n\n" + indent(parser.format_help()) + "\n"


def difference_table() -> str:
    """Return the programs that cannot do the same as a task, and why, from the tests' own table."""
    parts = []
    for title, programs in differences(ROOT / "tests" / "differential" / "differences.py").items():
        names: dict[str, list[str]] = {}
        for name, reason in programs.items():
            names.setdefault(reason, []).append(f"``{name}``")
        rows = [(reason, ", ".join(found)) for reason, found in names.items()]
        parts += [f"{title}:\n", list_table(("Why", "Programs"), rows, (50, 50))]
    return "\n".join(parts)


def differences(path: Path) -> dict[str, dict[str, str]]:
    """Return the tables of a module, reasons by program, each under a title made of its name."""
    return {
        name.replace("_", " ").capitalize(): value
        for name, value in runpy.run_path(str(path)).items()
        if name.isupper() and not name.startswith("_") and value
    }


DRAWN: dict[str, Callable[[], str]] = {
    "caller states": lambda: state_list("CALLER", CALLER),
    "caller table": lambda: state_table(CALLER),
    "callee states": lambda: state_list("CALLEE", CALLEE),
    "callee table": lambda: state_table(CALLEE),
    "envelopes": envelope_table,
    "errors": error_table,
    "files": file_tree,
    "differences": difference_table,
    "command": lambda: command_help(""),
    "command worker": lambda: command_help("worker"),
    "command run": lambda: command_help("run"),
    "command permissions": lambda: command_help("permissions"),
    "command declare": lambda: command_help("declare"),
}


# -- reStructuredText --------------------------------------------------------------------------


def list_table(titles: Row, rows: Iterable[Row], widths: Sequence[int]) -> str:
    """Return a table; without titles it has no head."""
    lines = [".. list-table::", f"   :widths: {' '.join(map(str, widths))}"]
    if titles:
        lines.append("   :header-rows: 1")
    lines.append("")
    for row in [titles, *rows] if titles else rows:
        for number, cell in enumerate(row):
            lines.append(f"   {'  ' if number else '* '}- {cell}".rstrip())
    return "\n".join([*lines, ""])


def summary(doc: str | None) -> str:
    """Return the first paragraph of a docstring as one line."""
    paragraph = inspect.cleandoc(doc or "").partition("\n\n")[0]
    return re.sub(r"\s+", " ", paragraph)


def indent(text: str) -> str:
    """Return lines moved to the right."""
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())
