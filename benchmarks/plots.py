"""A table as a chart."""

from __future__ import annotations

import importlib
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .tables import Table


class CannotDrawError(Exception):
    """No chart can be drawn there, or none at all."""


def check(file: str) -> None:
    """
    Return if a chart can be drawn into a file, so that minutes of measuring are not for nothing.

    Raises:
        CannotDrawError: matplotlib is not installed, the folder does not exist, or the end of the
            name says no format that can be written.
    """
    formats = _pyplot().figure().canvas.get_supported_filetypes()
    path = Path(file)
    if path.suffix.removeprefix(".") not in formats:
        raise CannotDrawError(f"--plot {file}: let its name end in one of .{', .'.join(formats)}")
    if not path.parent.is_dir():
        raise CannotDrawError(f"--plot {file}: there is no folder {path.parent}")


def draw(tables: Sequence[Table], file: str) -> None:
    """
    Write tables as bars, with lines from the least to the greatest sample.

    Args:
        tables: What to draw, one below the other.
        file: Where to; the end of the name (``.png``, ``.svg``, ``.pdf``) says in which format.

    Raises:
        CannotDrawError: matplotlib is not installed.
    """
    pyplot = _pyplot()
    heights = [len(table.found) for table in tables]
    figure, places = pyplot.subplots(
        len(tables),
        squeeze=False,
        figsize=(8, 1.0 * len(tables) + 0.35 * sum(heights)),
        gridspec_kw={"height_ratios": heights},
        layout="constrained",
    )
    for table, place in zip(tables, places.flat, strict=True):
        _draw_one(table, place)
    figure.savefig(file)
    pyplot.close(figure)


def _pyplot() -> Any:
    try:
        # Files only: no window is opened, and none need be possible.
        importlib.import_module("matplotlib").use("agg")
        return importlib.import_module("matplotlib.pyplot")
    except ImportError as exc:
        raise CannotDrawError("--plot needs matplotlib: pip install atasks_ng[bench]") from exc


def _draw_one(table: Table, place: Any) -> None:
    names = list(table.found)
    medians = [statistics.median(table.samples(name)) for name in names]
    below = [middle - min(table.samples(name)) for name, middle in zip(names, medians, strict=True)]
    above = [max(table.samples(name)) - middle for name, middle in zip(names, medians, strict=True)]
    colors = ["C1" if name in table.highlights else "C0" for name in names]
    place.barh(names, medians, xerr=[below, above], color=colors, capsize=3)
    place.invert_yaxis()
    place.set_title(table.title, fontsize="small", loc="left")
    place.set_xlabel(table.main)
