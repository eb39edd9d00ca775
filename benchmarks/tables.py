"""Tables of figures that were taken in rounds, with ratios between what one round measured."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence

#: What one round found for one row, by the name of the figure.
Figures = Mapping[str, float]

_NAME_WIDTH = 26


@dataclasses.dataclass(frozen=True)
class Table:
    """
    Figures of several rounds.

    Attributes:
        title: What was measured, and how.
        main: The figure that is compared: shown as median, least and greatest.
        found: By row, the figures of each round; the rounds are the same in every row.
        others: Further figures, shown as medians.
        against: Rows that the others are compared with.
        highlights: Rows whose ratios are shown with their range.
        also: Further figures whose ratios are shown so.
        notes: Lines that stand below.
    """

    title: str
    main: str
    found: Mapping[str, Sequence[Figures]]
    others: Sequence[str] = ()
    against: Sequence[str] = ()
    highlights: Sequence[str] = ()
    also: Sequence[str] = ()
    notes: Sequence[str] = ()

    def samples(self, row: str, figure: str | None = None) -> list[float]:
        """Return a figure, the main one by default, of each round."""
        return [figures[figure or self.main] for figures in self.found[row]]

    def ratios(self, row: str, base: str, figure: str | None = None) -> list[float]:
        """Return how often a figure of a row holds that of another, round by round."""
        pairs = zip(self.samples(row, figure), self.samples(base, figure), strict=True)
        return [own / other for own, other in pairs]

    @property
    def bases(self) -> list[str]:
        """The rows to compare with that were measured."""
        return [name for name in self.against if self.found.get(name)]

    def text(self) -> str:
        """Return the table as text."""
        head = [self.main, "min", "max", *(f"x {base}" for base in self.bases), *self.others]
        rows = [(name, self._cells(name)) for name in self.found]
        widths = [
            max(len(head[i]), *(len(cells[i]) for _, cells in rows)) + 2 for i in range(len(head))
        ]
        lines = [self.title, _line("", head, widths)]
        lines += [_line(name, cells, widths) for name, cells in rows]
        return "\n".join([*lines, *self._ranges(), *self.notes])

    def _cells(self, row: str) -> list[str]:
        samples = self.samples(row)
        cells = [shown(statistics.median(samples)), shown(min(samples)), shown(max(samples))]
        cells += [f"{statistics.median(self.ratios(row, base)):.2f}" for base in self.bases]
        return cells + [self._median(row, name) for name in self.others]

    def _median(self, row: str, name: str) -> str:
        values = [figures[name] for figures in self.found[row] if name in figures]
        return shown(statistics.median(values)) if values else "-"

    def _ranges(self) -> list[str]:
        return [
            f"{figure} of {row}: {', '.join(ranges)}"
            for row in self.highlights
            for figure in (self.main, *self.also)
            if (ranges := self._ranges_of(row, figure))
        ]

    def _ranges_of(self, row: str, figure: str) -> list[str]:
        bases = [base for base in self.bases if base != row and row in self.found]
        return [f"{spread(self.ratios(row, base, figure))} x {base}" for base in bases]


def shown(figure: float) -> str:
    """Return a figure with three digits, or all those before the point."""
    digits = 0 if abs(figure) >= 100 else 1 if abs(figure) >= 10 else 2
    return f"{figure:,.{digits}f}"


def spread(ratios: Sequence[float]) -> str:
    """Return median, least and greatest of ratios."""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"


def _line(name: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    return f"{name:<{_NAME_WIDTH}}{aligned}".rstrip()
