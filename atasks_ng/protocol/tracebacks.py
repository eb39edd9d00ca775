"""
Tracebacks as plain data, and back.

A frame is written down as file, line, function and source. What is rebuilt prints like what was
written down, also where the file does not exist; it is for reading, and holds no variables.

How much is written down is an option, ``tracebacks``: ``"full"``; ``"names"``, functions and lines,
with who tells in place of the file and no source; ``"off"``, nothing but who does not tell.
"""

from __future__ import annotations

import linecache
import os
import traceback
from collections.abc import Iterator
from types import CodeType, FrameType, TracebackType
from typing import Any

# Of one exception; the middle is left out.
MAX_FRAMES = 200

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


# -- writing down ------------------------------------------------------------------------------


def place_of(worker: str, tracebacks: str = "full") -> str:
    """
    Return what stands in place of a file in the frame that says who tells.

    Args:
        worker: Name of the worker; empty for a caller.
        tracebacks: How much it tells.
    """
    who = f"worker {worker}" if worker else "caller"
    return f"<{who}>" if tracebacks in ("full", "names") else f"<{who}, which does not tell where>"


def frames_of(
    tb: TracebackType | None, place: str, tracebacks: str = "full"
) -> Iterator[list[Any]]:
    """
    Yield file, line, function and source of each frame that is not of this library.

    Args:
        tb: The traceback.
        place: What stands in place of files, if they are not told.
        tracebacks: How much is told; anything but ``"full"`` and ``"names"`` is ``"off"``.
    """
    if tracebacks not in ("full", "names"):
        return
    frames = [(frame, line) for frame, line in traceback.walk_tb(tb) if not _is_ours(frame)]
    if len(frames) > MAX_FRAMES:
        half = MAX_FRAMES // 2
        frames = frames[:half] + frames[-half:]
    yield from _names_of(frames, place) if tracebacks == "names" else _sources_of(frames)


def _sources_of(frames: list[tuple[FrameType, int]]) -> Iterator[list[Any]]:
    for frame, line in frames:
        code = frame.f_code
        linecache.lazycache(code.co_filename, frame.f_globals)
        source = linecache.getline(code.co_filename, line).strip()
        yield [code.co_filename, line, code.co_name, source]


def _names_of(frames: list[tuple[FrameType, int]], place: str) -> Iterator[list[Any]]:
    # What another worker told stays in its name, if that is known.
    remote = "<remote>"
    for frame, line in frames:
        code = frame.f_code
        is_rebuilt = code.co_code == _TEMPLATE.co_code
        if is_rebuilt and code.co_filename.startswith("<worker "):
            remote = code.co_filename
        yield [remote if is_rebuilt else place, line, code.co_name, ""]


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_code.co_filename
    return name.startswith(_PACKAGE)


# -- rebuilding --------------------------------------------------------------------------------


class _Step(Exception):  # noqa: N818  # no error, a way to a frame
    """Raised to get at a frame."""


def _template() -> CodeType:
    code = compile("raise step", "<remote>", "exec")
    # Entries of kind 13 have a line and no columns, so that no carets point at nothing.
    units = len(code.co_code) // 2
    table = bytearray()
    while units:
        length = min(units, 8)
        table += bytes((0x80 | (13 << 3) | (length - 1), 0))
        units -= length
    return code.replace(co_linetable=bytes(table))


_TEMPLATE = _template()


def rebuild_traceback(
    frames: list[list[Any]], found: TracebackType | None = None
) -> TracebackType | None:
    """Return a traceback object that prints like the one written down, with another behind it."""
    for filename, line, name, source in reversed(frames):
        _remember_source(filename, line, source)
        code = _TEMPLATE.replace(
            co_filename=filename, co_name=name, co_qualname=name, co_firstlineno=line
        )
        step = _Step()
        try:
            exec(code, {"step": step, "__name__": name})
        except _Step as caught:
            own = caught.__traceback__
            assert own is not None
            assert own.tb_next is not None
            found = TracebackType(found, own.tb_next.tb_frame, own.tb_next.tb_lasti, line)
    return found


_sources: dict[str, list[str]] = {}
_MAX_SOURCES = 1000
_MAX_LINE = 200_000
# In all of them together; each takes the size of a pointer.
_MAX_LINES = 1_000_000


def _remember_source(filename: str, line: int, source: str) -> None:
    """Make linecache know a line of a file that is not on this machine."""
    if not source or not 0 < line < _MAX_LINE or os.path.exists(filename):
        return
    if filename in linecache.cache and filename not in _sources:
        return
    if len(_sources) >= _MAX_SOURCES or sum(map(len, _sources.values())) + line > _MAX_LINES:
        for known in _sources:
            linecache.cache.pop(known, None)
        _sources.clear()
    lines = _sources.setdefault(filename, [])
    lines += ["\n"] * (line - len(lines))
    lines[line - 1] = source + "\n"
    # No modification time: linecache.checkcache() leaves such entries alone.
    linecache.cache[filename] = (len(lines), None, lines, filename)
