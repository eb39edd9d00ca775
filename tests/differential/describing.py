"""Values, exceptions and warnings as plain data that can be compared."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
# Frames of these are ours, not the program's.
_NOT_PROGRAMS = {"table.py", "describing.py", "running.py"}
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
_GROUP_PREFIX = re.compile(r" *[|+] (?=.)")
_FRAME = re.compile(r'  File "(?P<file>[^"]+)", line \d+, in ')
_MARKERS = re.compile(r"[\s|^~]*")


def describe(value: Any) -> Any:
    """Return a value as plain data: types and contents, exceptions with all they carry."""
    return _describe(value, {})


def _describe(value: Any, seen: dict[int, int]) -> Any:
    if isinstance(value, BaseException):
        return _describe_exception(value, seen)
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if type(value) in (list, tuple):
        return [kind, *(_describe(item, seen) for item in value)]
    if type(value) in (set, frozenset):
        return [kind, *sorted(repr(_describe(item, seen)) for item in value)]
    if isinstance(value, Mapping):
        items = [[_describe(k, seen), _describe(v, seen)] for k, v in value.items()]
        return [kind, *items]
    return [kind, _ADDRESS.sub("0x…", repr(value))]


def _describe_exception(exc: BaseException, seen: dict[int, int]) -> Any:
    if id(exc) in seen:
        return ["same as", seen[id(exc)]]
    is_first = not seen
    seen[id(exc)] = len(seen)
    found = {
        "type": f"{type(exc).__module__}.{type(exc).__qualname__}",
        "bases": [base.__name__ for base in type(exc).__mro__],
        "args": [] if isinstance(exc, BaseExceptionGroup) else _describe(exc.args, seen),
        "text": _ADDRESS.sub("0x…", str(exc)),
        "attributes": _describe(_attributes(exc), seen),
        "notes": list(getattr(exc, "__notes__", [])),
        "cause": _describe(exc.__cause__, seen),
        "context": _describe(exc.__context__, seen),
        "suppress": exc.__suppress_context__,
    }
    if isinstance(exc, BaseExceptionGroup):
        found["members"] = [_describe(each, seen) for each in exc.exceptions]
    if is_first:
        found["lines"] = essential_lines(exc)
    return found


def _attributes(exc: BaseException) -> dict[str, Any]:
    """Return what an exception shows beside its arguments, C fields and slots included."""
    found = {}
    for name in dir(exc):
        if name.startswith("__") or name in ("args", "exceptions", "obj"):
            continue
        value = getattr(exc, name, None)
        if not callable(value):
            found[name] = value
    return found


def essential_lines(exc: BaseException) -> list[str]:
    """
    Return the lines of the formatted traceback that a reader needs.

    Frames of the standard library and of ours are left out, the marker of the worker is, and so
    are the marks under a line.
    """
    text = "".join(traceback.format_exception(exc))
    return list(_essential(text.splitlines()))


def _essential(lines: Iterable[str]) -> Iterable[str]:
    is_shown = True
    for full in lines:
        line = _GROUP_PREFIX.sub("", full, count=1)
        frame = _FRAME.match(line)
        if frame:
            is_shown = _is_of_program(Path(frame["file"]))
        elif not line.startswith("    "):
            is_shown = True
        if is_shown and not _MARKERS.fullmatch(line):
            yield _ADDRESS.sub("0x…", line)


def _is_of_program(file: Path) -> bool:
    return file.parent == _HERE and file.name not in _NOT_PROGRAMS
