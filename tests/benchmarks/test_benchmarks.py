"""The measurements run; what they measure is nobody's business here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _run(*arguments: str, timeout: float = 120) -> str:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_benchmarks_list_what_they_measure() -> None:
    assert "cancel" in _run("benchmarks")


def test_cancel_prints_percentiles(amqp_url: str) -> None:
    printed = _run("benchmarks", "cancel", "--quick", "--url", amqp_url)

    assert "cancel to CancelledError" in printed
    assert "p99" in printed


@pytest.mark.amqp
@pytest.mark.timeout(180)
def test_ten_seconds_of_chaos_breach_nothing() -> None:
    printed = _run("benchmarks.chaos", "--seconds", "10", "--seed", "11", timeout=170)

    assert "no breach" in printed
