"""What measurements run in: a broker, worker processes, and figures made of samples."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from atasks_ng.testing.broker import PrivateBroker

_READY_WITHIN = 30.0


@contextlib.contextmanager
def broker(url: str | None) -> Iterator[str]:
    """Yield the URL of a broker: the one given, or a private one for the time of the block."""
    if url is not None:
        yield url
        return
    with PrivateBroker() as node:
        yield node.url


@contextlib.contextmanager
def workers(url: str, count: int = 1, concurrency: int = 1000) -> Iterator[list[int]]:
    """Yield the process ids of workers that perform the tasks of the measurements."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("w") as output:
            command = [sys.executable, "-m", "atasks_ng", "worker", "benchmarks.tasks"]
            command += ["--url", url, "--concurrency", str(concurrency)]
            processes = [subprocess.Popen(command, stderr=output) for _ in range(count)]
            try:
                _wait_ready(log, count)
                yield [process.pid for process in processes]
            finally:
                for process in processes:
                    process.terminate()
                for process in processes:
                    process.wait(timeout=60)


def _wait_ready(log: Path, count: int) -> None:
    until = time.monotonic() + _READY_WITHIN
    while log.read_text().count(" ready") < count:
        if time.monotonic() > until:
            raise RuntimeError(f"the workers did not get ready:\n{log.read_text()}")
        time.sleep(0.05)


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the sample below which a share of all samples lies."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def row(name: str, samples: Sequence[float]) -> str:
    """Return a line of a table: median, 90th and 99th percentile, and maximum, in microseconds."""
    figures = [
        statistics.median(samples),
        percentile(samples, 0.9),
        percentile(samples, 0.99),
        max(samples),
    ]
    return f"{name:<28}" + "".join(f"{figure * 1e6:>11,.0f}" for figure in figures)


def header(what: str) -> str:
    """Return the head of such a table."""
    columns = "".join(f"{name:>11}" for name in ("p50", "p90", "p99", "max"))
    return f"{what:<28}{columns}"


def machine() -> str:
    """Return what the figures were taken on, in one line."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{os.cpu_count()} processors, Python {python}"
