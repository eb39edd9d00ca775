"""What tables say of the figures they are given."""

from __future__ import annotations

import pytest

from benchmarks.tables import Table, shown

ROUNDS = {
    "slow": [{"calls/s": 100.0, "us": 9.0}, {"calls/s": 50.0}, {"calls/s": 80.0}],
    "fast": [{"calls/s": 300.0}, {"calls/s": 200.0}, {"calls/s": 160.0}],
}


def make(**others: object) -> Table:
    return Table("a race", "calls/s", ROUNDS, **others)  # type: ignore[arg-type]


def test_ratios_are_taken_round_by_round() -> None:
    # Of the medians it would be 2.5.
    assert make().ratios("fast", "slow") == [3.0, 4.0, 2.0]


def test_table_shows_median_range_and_ratio() -> None:
    title, head, slow, fast = make(against=["slow"]).text().splitlines()

    assert title == "a race"
    assert head.split() == ["calls/s", "min", "max", "x", "slow"]
    assert slow.split() == ["slow", "80.0", "50.0", "100", "1.00"]
    assert fast.split() == ["fast", "200", "160", "300", "3.00"]


def test_rows_that_were_not_measured_are_not_compared_with() -> None:
    assert "absent" not in make(against=["absent", "slow"], highlights=["absent", "fast"]).text()


def test_figures_that_were_not_measured_are_a_dash() -> None:
    rows = make(others=["us"]).text().splitlines()[2:]

    assert [row.split()[-1] for row in rows] == ["9.00", "-"]


def test_highlights_show_the_range_of_ratios() -> None:
    text = make(against=["slow"], highlights=["fast"], notes=["and a note"]).text()

    assert text.splitlines()[-2:] == ["calls/s of fast: 3.00 (2.00..4.00) x slow", "and a note"]


@pytest.mark.parametrize(
    ("figure", "text"), [(0.1234, "0.12"), (12.34, "12.3"), (123.4, "123"), (12345.6, "12,346")]
)
def test_figures_have_three_digits(figure: float, text: str) -> None:
    assert shown(figure) == text


def test_highlights_show_the_range_of_further_figures() -> None:
    found = {"base": [{"ms": 4.0, "CPU": 2.0}], "row": [{"ms": 2.0, "CPU": 4.0}]}
    table = Table("two", "ms", found, against=["base"], highlights=["row"], also=["CPU"])

    assert table.text().splitlines()[-2:] == [
        "ms of row: 0.50 (0.50..0.50) x base",
        "CPU of row: 2.00 (2.00..2.00) x base",
    ]
