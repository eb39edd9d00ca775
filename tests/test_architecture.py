"""The law of the layers: each imports only what stands above it, and nothing goes in circles."""

from __future__ import annotations

import ast
import functools
import gc
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import atasks_ng

PACKAGE = "atasks_ng"
ROOT = Path(atasks_ng.__file__).parent

#: From the top; each layer imports from those before it and, where it is one folder, from itself.
LAYERS = [
    {"_version"},
    {"words"},
    {"protocol"},
    {"places"},
    {"codecs", "transport"},
    {"core", "router", "tasks"},
    {"worker"},
    {"cli", "observe", "testing"},
    {"", "__main__", "errors"},
]
#: Folders of one layer that must not know each other.
SEAMS = {"codecs", "transport"}
EDGES = {"cli", "observe", "testing"}

#: What may be imported from outside, and by whom; the rest is the standard library.
OUTSIDE = {
    "aiormq": ["transport.backends.amqp"],
    "pamqp": ["transport.backends.amqp"],
    "yarl": ["transport.backends.amqp"],
    "cloudpickle": ["codecs.cloudpickle_codec"],
    "cryptography": ["codecs.encrypted_codec"],
    "isal": ["protocol.seals"],
    "msgpack": ["protocol.envelopes", "codecs"],
    "opentelemetry": ["core.context", "observe"],
    "typeguard": ["core.validation"],
}


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


def module_of(path: Path) -> str:
    """Return the name of a module within the package: ``core.held``, ``""`` for the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(ROOT.rglob("*.py"))}


class Finder(ast.NodeVisitor):
    """Finds the modules that a module imports, and at which moment."""

    def __init__(self, name: str, path: Path) -> None:
        self._package = name if path.stem == "__init__" else name.rpartition(".")[0]
        self._depth = 0
        #: Pairs of full name and whether it happens when the module is imported.
        self.found: list[tuple[str, bool]] = []

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for other in node.orelse:
                self.visit(other)
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parts = [PACKAGE, *filter(None, self._package.split("."))]
            parts = parts[: len(parts) - node.level + 1]
            base = ".".join([*parts, *filter(None, [node.module])])
        for alias in node.names:
            name = f"{base}.{alias.name}"
            is_module = name.removeprefix(f"{PACKAGE}.") in MODULES
            self._add(name if is_module else base)

    def _add(self, name: str) -> None:
        self.found.append((name, self._depth == 0))


@functools.cache
def imports_of(module: str) -> tuple[tuple[str, bool], ...]:
    path = MODULES[module]
    finder = Finder(module, path)
    finder.visit(ast.parse(path.read_text(encoding="utf-8")))
    return tuple(finder.found)


def inner_imports(module: str, *, early: bool = False) -> Iterator[str]:
    """Yield modules of the package that a module imports; ``early``: when it is imported itself."""
    for name, is_early in imports_of(module):
        if name == PACKAGE or name.startswith(f"{PACKAGE}."):
            inner = name[len(PACKAGE) + 1 :]
            while inner not in MODULES:
                inner = inner.rpartition(".")[0]
            if is_early or not early:
                yield inner


def part_of(module: str) -> str:
    return module.partition(".")[0]


def layer_of(module: str) -> int:
    for number, layer in enumerate(LAYERS):
        if part_of(module) in layer:
            return number
    raise AssertionError(f"{module!r} has no place in the layers")


def is_below(module: str, parent: str) -> bool:
    return module == parent or module.startswith(f"{parent}.")


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module or PACKAGE)
def test_module_imports_only_from_its_layer_and_above(module: str) -> None:
    wrong = [other for other in inner_imports(module) if layer_of(other) > layer_of(module)]

    assert wrong == []


@pytest.mark.parametrize("siblings", [SEAMS, EDGES], ids=["seams", "edges"])
def test_folders_side_by_side_do_not_know_each_other(siblings: set[str]) -> None:
    wrong = [
        (module, other)
        for module in MODULES
        if part_of(module) in siblings
        for other in inner_imports(module)
        if part_of(other) in siblings - {part_of(module)}
    ]

    assert wrong == []


def test_implementations_of_a_seam_do_not_know_each_other() -> None:
    codecs = {module for module in MODULES if module.endswith("_codec")}
    backends = {module for module in MODULES if module.count(".") == 2 and ".backends." in module}
    assert len(codecs) >= 4
    assert len(backends) >= 2

    wrong = [
        (module, other)
        for module in MODULES
        for other in inner_imports(module)
        for group in (codecs, backends)
        for one in group
        if is_below(module, one) and any(is_below(other, two) for two in group - {one})
    ]

    assert wrong == []


def test_nothing_imports_the_tests_helpers() -> None:
    wrong = [
        module
        for module in MODULES
        if part_of(module) != "testing"
        and any(part_of(other) == "testing" for other in inner_imports(module))
    ]

    assert wrong == []


def test_imports_go_in_no_circle() -> None:
    graph = {module: set(inner_imports(module, early=True)) - {module} for module in MODULES}
    # The package itself imports everything; a module within it does not wait for that.
    for others in graph.values():
        others.discard("")

    graphlib.TopologicalSorter(graph).prepare()


def test_packages_from_outside_are_imported_where_they_belong_only() -> None:
    known = sys.stdlib_module_names | {PACKAGE}

    wrong = [
        (module, name)
        for module in MODULES
        for name, _ in imports_of(module)
        if (package := name.partition(".")[0]) not in known
        and not any(is_below(module, allowed) for allowed in OUTSIDE.get(package, ()))
    ]

    assert wrong == []


def test_protocol_does_no_input_or_output_and_reads_no_clock() -> None:
    forbidden = {"asyncio", "socket", "time", "datetime", "threading", "selectors", "subprocess"}

    wrong = [
        (module, name)
        for module in MODULES
        if part_of(module) == "protocol"
        for name, _ in imports_of(module)
        if name.partition(".")[0] in forbidden
    ]

    assert wrong == []


def test_law_sees_what_it_is_to_see() -> None:
    # A finder that finds nothing would let everything pass.
    assert "core.port" in inner_imports("router", early=True)
    assert ("aiormq", True) in imports_of("transport.backends.amqp.session")
    assert "protocol.envelopes" in inner_imports("transport.base")
    assert "transport.backends.loopback" in inner_imports("transport.base")
    assert "transport.backends.loopback" not in inner_imports("transport.base", early=True)
