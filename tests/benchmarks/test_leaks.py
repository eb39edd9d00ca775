"""Many calls, of which some are interrupted, leave nothing behind at either end."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_interrupted_calls_leave_nothing_behind(amqp_url: str) -> None:
    command = [sys.executable, "-m", "benchmarks.leaks", "--calls", "5000"]
    command += ["--url", f"{amqp_url}?prefix=test-{uuid.uuid4().hex}"]

    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "500 cancelled" in done.stdout
    assert "500 timed out" in done.stdout
    assert "nothing is left behind" in done.stdout
