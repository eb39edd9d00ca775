"""What the codebase scenario finds out about Python files; nothing in here is remote."""

import ast
import os
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

LIBRARY = Path(sysconfig.get_path("stdlib"))

# Stands for a package of all modules that are in none.
MODULES = "(modules)"

# Tests, and what is installed beside the standard library, are not its source.
_SKIPPED = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}


@dataclass(frozen=True, order=True)
class Function:
    """The longest function of something; compared by its lines first."""

    lines: int = 0
    name: str = "-"
    path: str = "-"


@dataclass
class Facts:
    """What is known of one file, or of many together."""

    name: str
    files: int = 0
    unreadable: int = 0
    lines: int = 0
    functions: int = 0
    classes: int = 0
    longest: Function = field(default_factory=Function)
    imports: dict[str, int] = field(default_factory=dict)


def packages(limit: int) -> dict[str, list[str]]:
    """Return the files of each package of the standard library, relative to it; 0 is no limit."""
    found: dict[str, list[str]] = {}
    for folder, inner, files in os.walk(LIBRARY):
        inner[:] = [name for name in inner if name.isidentifier() and name not in _SKIPPED]
        place = Path(folder).relative_to(LIBRARY)
        sources = [(place / name).as_posix() for name in files if name.endswith(".py")]
        if sources:
            found.setdefault(place.parts[0] if place.parts else MODULES, []).extend(sources)
    names = sorted(found, key=lambda name: (name == MODULES, name))
    return {name: sorted(found[name]) for name in names[: limit or None]}


def examine(path: str) -> Facts:
    """Return what is in one file, given by its path in the standard library."""
    source = (LIBRARY / path).read_bytes()
    facts = Facts(path, files=1, lines=len(source.splitlines()))
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        facts.unreadable = 1
        return facts
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            facts.functions += 1
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            facts.longest = max(facts.longest, Function(length, node.name, path))
        elif isinstance(node, ast.ClassDef):
            facts.classes += 1
        else:
            facts.imports.update(dict.fromkeys(_imported(node), 1))
    return facts


def combine(name: str, parts: list[Facts]) -> Facts:
    """Return what is known of all parts together."""
    imports: Counter[str] = Counter()
    for part in parts:
        imports.update(part.imports)
    return Facts(
        name,
        files=sum(part.files for part in parts),
        unreadable=sum(part.unreadable for part in parts),
        lines=sum(part.lines for part in parts),
        functions=sum(part.functions for part in parts),
        classes=sum(part.classes for part in parts),
        longest=max((part.longest for part in parts), default=Function()),
        imports=dict(imports),
    )


def table(found: list[Facts], rows: int = 15) -> str:
    """Return the report: the largest packages, the total, and what is remarkable in it."""
    total = combine("total", found)
    largest = sorted(found, key=lambda facts: (-facts.lines, facts.name))
    columns = "{:16}{:>8}{:>10}{:>11}{:>9}"
    text = [columns.format("package", "files", "lines", "functions", "classes")]
    for each in [*largest[:rows], total]:
        counts = (each.files, each.lines, each.functions, each.classes)
        text.append(columns.format(each.name, *(f"{count:,}" for count in counts)))
    if len(found) > rows:
        text.insert(-1, f"... and {len(found) - rows} more")
    longest, imports = total.longest, sorted(total.imports.items(), key=lambda i: (-i[1], i[0]))
    text.append(f"files that do not parse: {total.unreadable}")
    text.append(f"longest function: {longest.name}, {longest.lines} lines, in {longest.path}")
    text.append("most imported: " + ", ".join(f"{name} {n}" for name, n in imports[:10]))
    return "\n".join(text)


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module.partition(".")[0]
