"""The measurements run and print tables of sane figures; how fast anything is is not asked here."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from atasks_ng.testing.broker import PrivateBroker
from benchmarks.__main__ import MEASUREMENTS, SEARCHES
from benchmarks.contenders import CONTENDERS

ROOT = Path(__file__).parents[2]

INSTALLED = [name for name, contender in CONTENDERS.items() if contender.is_installed]


def _start(*arguments: str, timeout: float = 120, **variables: str) -> tuple[int, str, str]:
    paths = [variables.pop("path", ""), str(ROOT), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def _run(*arguments: str, timeout: float = 120) -> str:
    code, printed, complaints = _start(*arguments, timeout=timeout)
    assert code == 0, printed + complaints
    return printed


@dataclasses.dataclass
class Read:
    """A table as somebody reads it: by row and column; ``None`` for what was not measured."""

    title: str
    columns: list[str]
    rows: dict[str, dict[str, float | None]]


def _read(printed: str) -> list[Read]:
    return [_read_one(block.splitlines()) for block in printed.strip().split("\n\n")[1:]]


def _read_one(lines: list[str]) -> Read:
    # Columns are right-aligned and two blanks apart; names of rows fill the first 26 places.
    columns = [name.strip() for name in lines[1].split("  ") if name.strip()]
    rows: dict[str, dict[str, float | None]] = {}
    for line in lines[2:]:
        cells = line[26:].split()
        if len(cells) != len(columns) or line[25] != " ":
            break
        figures = [None if cell == "-" else float(cell.replace(",", "")) for cell in cells]
        rows[line[:26].strip()] = dict(zip(columns, figures, strict=True))
    return Read(lines[0], columns, rows)


def _check_sane(table: Read) -> None:
    assert table.rows, table
    main = table.columns[0]
    for name, row in table.rows.items():
        median, least, greatest = row[main], row["min"], row["max"]
        assert median is not None
        assert least is not None
        assert greatest is not None
        assert 0 < least <= median <= greatest, (name, row)
        assert row.get(f"x {name}", 1.0) == 1.0


def test_benchmarks_list_what_they_measure() -> None:
    printed = _run("benchmarks")

    for name in [*MEASUREMENTS, *SEARCHES]:
        assert f"\n    {name} " in printed


@pytest.mark.timeout(180)
def test_echo_compares_all_that_are_installed(amqp_url: str) -> None:
    (table,) = _read(_run("benchmarks", "echo", "--quick", "--url", amqp_url))

    assert list(table.rows) == INSTALLED
    assert "x aiormq" in table.columns
    _check_sane(table)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("measurement", "tables"),
    [("latency", 1), ("payload", 3), ("fanout", 1), ("nested", 1), ("memory", 2), ("startup", 1)],
)
def test_comparison_prints_sane_tables(amqp_url: str, measurement: str, tables: int) -> None:
    only = ("--only", "aiormq", "atasks_ng")
    found = _read(_run("benchmarks", measurement, "--quick", "--url", amqp_url, *only))

    assert len(found) == tables
    for table in found:
        assert {"aiormq", "atasks_ng"} <= set(table.rows)
        _check_sane(table)


@pytest.mark.timeout(180)
def test_scale_compares_widths_and_workers(amqp_url: str) -> None:
    widths, workers = _read(_run("benchmarks", "scale", "--quick", "--url", amqp_url))

    assert list(widths.rows) == ["10 in flight", "1,000 in flight"]
    assert list(workers.rows) == ["1 worker", "2 workers"]
    _check_sane(widths)
    _check_sane(workers)


def test_cancel_prints_percentiles(amqp_url: str) -> None:
    (table,) = _read(_run("benchmarks", "cancel", "--quick", "--url", amqp_url))

    assert list(table.rows) == ["round trip of an echo", "cancel to CancelledError"]
    assert table.columns[-3:] == ["p90 us", "p99 us", "max us"]
    _check_sane(table)


@pytest.mark.parametrize("measurement", ["codec", "loopback"])
def test_what_needs_no_broker_prints_sane_tables(measurement: str) -> None:
    tables = _read(_run("benchmarks", measurement, "--quick"))

    assert len(tables) >= 2
    for table in tables:
        _check_sane(table)


def test_codecs_agree_on_what_they_encode() -> None:
    (call, *_) = _read(_run("benchmarks", "codec", "--quick"))

    sizes = [call.rows[name]["bytes"] for name in ("MsgpackCodec", "msgpack", "pickle")]
    assert all(size is not None and size > 10 for size in sizes)


def test_codecs_are_compared_in_copies_of_what_is_large() -> None:
    tables = _read(_run("benchmarks", "codec", "--quick"))

    assert [table.title for table in tables if "memcpy" in table.rows] == [
        table.title for table in tables if "1 MiB" in table.title
    ]
    large = [table for table in tables if "memcpy" in table.rows]
    assert len(large) == 2
    for table in large:
        own, plain, copy = (table.rows[who] for who in ("MsgpackCodec", "msgpack", "memcpy"))
        assert copy["bytes"] == 1024 * 1024
        assert plain["memcpys over msgpack"] == 0
        # With one round, every figure is of that round.
        expected = (own["both ns"] - plain["both ns"]) / copy["both ns"]
        assert own["memcpys over msgpack"] == pytest.approx(expected, abs=0.06)


@pytest.mark.amqp
@pytest.mark.timeout(180)
def test_processor_time_of_a_private_broker_is_shown() -> None:
    (table,) = _read(_run("benchmarks", "fanout", "--quick", "--only", "atasks_ng"))

    assert table.rows["atasks_ng"]["broker us"] is not None


@pytest.mark.timeout(180)
def test_nothing_is_left_on_a_broker_that_was_named(
    private_broker: Callable[[], PrivateBroker],
) -> None:
    node = private_broker()

    _run("benchmarks", "fanout", "--quick", "--url", node.url, "--only", "aiormq", "atasks_ng")

    # The inbox of a process that was killed is kept for a while, in case that it comes back.
    queues = node.ctl("list_queues", "name").split()[1:]
    assert [name for name in queues if ".reply." not in name] == []
    assert "benchmark" not in node.ctl("list_exchanges", "name")


# -- charts ------------------------------------------------------------------------------------


def test_plot_draws_a_chart(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "codec.png"

    _run("benchmarks", "codec", "--quick", "--plot", str(file))

    assert file.read_bytes().startswith(b"\x89PNG")


def test_plot_without_matplotlib_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')")
    file = tmp_path / "codec.png"

    code, printed, complaint = _start(
        "benchmarks", "codec", "--quick", "--plot", str(file), path=str(tmp_path)
    )

    assert (code, printed) == (1, "")
    assert complaint == "--plot needs matplotlib: pip install atasks_ng[bench]\n"


@pytest.mark.parametrize("name", ["codec.unheard-of", "no/such/folder/codec.png"])
def test_plot_refuses_a_file_before_it_measures(tmp_path: Path, name: str) -> None:
    pytest.importorskip("matplotlib")

    code, printed, complaint = _start("benchmarks", "codec", "--plot", str(tmp_path / name))

    assert (code, printed) == (1, "")
    assert complaint.startswith(f"--plot {tmp_path / name}: ")


# -- chaos -------------------------------------------------------------------------------------


@pytest.mark.amqp
@pytest.mark.timeout(180)
def test_ten_seconds_of_chaos_breach_nothing() -> None:
    printed = _run("benchmarks", "chaos", "--seconds", "10", "--seed", "11", timeout=170)

    assert "no breach" in printed
