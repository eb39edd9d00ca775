"""What measurements run in: a broker, what processes use, and figures made of samples."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

from atasks_ng.testing.broker import PrivateBroker

_LIBRARIES = (
    "aiormq",
    "aio-pika",
    "grpcio",
    "isal",
    "msgpack",
    "msgspec",
    "numpy",
    "taskiq",
    "celery",
)
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Broker:
    """
    Where messages go.

    Attributes:
        url: Its address.
        pid: Its process, or ``None`` if that is not known.
    """

    url: str
    pid: int | None


@contextlib.contextmanager
def broker(url: str | None) -> Iterator[Broker]:
    """Yield a broker: the one that a URL names, or a private one for the time of the block."""
    if url is not None:
        yield Broker(url, None)
        return
    with PrivateBroker() as node:
        yield Broker(node.url, node.pid)


class Meter:
    """
    The processor time that processes use.

    Args:
        pids: Process ids by name; what several processes use is added up.
    """

    def __init__(self, pids: Mapping[str, Sequence[int]]) -> None:
        self._pids = {name: some for name, some in pids.items() if some}
        self.start()

    def start(self) -> None:
        """Count from now."""
        self._before = self._used()
        self._begin = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Time since the start, by the clock on the wall."""
        return time.perf_counter() - self._begin

    def per(self, calls: int) -> dict[str, float]:
        """Return microseconds of processor time for each of a number of calls: all, by process."""
        used = {
            f"{name} us": (now - self._before[name]) / calls * 1e6
            for name, now in self._used().items()
        }
        # Never 0, so that it can be compared: less than a tick was used.
        return {CPU: max(sum(used.values()), 1e6 / _TICKS / calls), **used}

    def _used(self) -> dict[str, float]:
        return {name: sum(map(cpu_seconds, pids)) for name, pids in self._pids.items()}


#: The columns that a meter fills: all processes together, and each kind of process.
CPU = "CPU us"
CPU_COLUMNS = (CPU, "caller us", "worker us", "broker us")


def cpu_seconds(pid: int | str) -> float:
    """Return the processor time that a process, or ``"self"``, has used."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_bytes() -> int:
    """Return how much memory this process has in use."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the sample below which a share of all samples lies."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def machine() -> str:
    """Return what the figures are taken on, and with, in two lines."""
    python = ".".join(map(str, sys.version_info[:3]))
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} processors, load {load:.1f} at the start, Python {python}\n"
        + ", ".join(_versions())
    )


def _versions() -> Iterator[str]:
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield f"{name} {importlib.metadata.version(name)}"
