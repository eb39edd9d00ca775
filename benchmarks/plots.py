"""A table as a chart."""

from __future__ import annotations

import importlib
import statistics
from collections.abc import Sequence
from typing import Any

from .tables import Table


class MissingLibraryError(ImportError):
    """What draws is not installed."""


def draw(tables: Sequence[Table], file: str) -> None:
    """
    Write tables as bars, with lines from the least to the greatest sample.

    Args:
        tables: What to draw, one below the other.
        file: Where to; the end of the name (``.png``, ``.svg``, ``.pdf``) says in which format.

    Raises:
        MissingLibraryError: matplotlib is not installed.
    """
    pyplot = load()
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


def load() -> Any:
    """Return matplotlib's pyplot, or raise :class:`MissingLibraryError`."""
    try:
        # Files only: no window is opened, and none need be possible.
        importlib.import_module("matplotlib").use("agg")
        return importlib.import_module("matplotlib.pyplot")
    except ImportError as exc:
        raise MissingLibraryError("--plot needs matplotlib: pip install atasks_ng[bench]") from exc


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
