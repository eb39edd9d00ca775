"""What the tests of faults share: worker processes, their ledger, and links that can be broken."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from atasks_ng.testing.proxy import Filter, Proxy
from atasks_ng.worker.stopping import SAME_WISH

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

#: A limit in seconds holds on a machine that has time; a busy one is allowed so much more.
SLACK = 3.0

#: What must end ends within this time, or hangs.
HANGS_AFTER = 30.0


def shown(what: str, value: float, unit: str = "s") -> None:
    """Print a measured figure; ``pytest -s`` shows it."""
    print(f"{what}: {value:.2f} {unit}")


async def until(
    holds: Callable[[], bool | Awaitable[bool]], what: str = "", timeout: float = HANGS_AFTER
) -> None:
    """Return when a condition holds; fail when it does not in time."""
    end = time.monotonic() + timeout
    while True:
        found = holds()
        if not isinstance(found, bool):
            found = await found
        if found:
            return
        assert time.monotonic() < end, what or f"not within {timeout:g} s"
        await asyncio.sleep(0.01)


# -- the ledger --------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Entry:
    """A line of the ledger: what a body did."""

    what: str
    key: str
    id: str
    attempt: int
    pid: int
    time: float


class Ledger:
    """
    The file into which bodies write what they do.

    Args:
        path: The file; every process that runs bodies finds it in its environment.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def entries(self, what: str = "start", key: str = "", pid: int = 0) -> list[Entry]:
        """Return the lines of a kind, of a key and of a process, in their order."""
        found = []
        for line in self.path.read_text().splitlines():
            kind, name, id, attempt, process, when = line.split()
            if kind == what and key in ("", name) and pid in (0, int(process)):
                found.append(Entry(kind, name, id, int(attempt), int(process), float(when)))
        return found

    def count(self, what: str = "start", key: str = "", pid: int = 0) -> int:
        """Return how many lines there are."""
        return len(self.entries(what, key, pid))

    def reruns(self) -> int:
        """Return how many starts were not the first of their call."""
        return sum(times - 1 for times in Counter(e.id for e in self.entries()).values())

    async def reaches(self, count: int, what: str = "start", key: str = "", pid: int = 0) -> None:
        """Return when there are so many lines."""
        await until(
            lambda: self.count(what, key, pid) >= count,
            f"the ledger never had {count} times {what!r} {key} {pid or ''}",
        )


# -- workers -----------------------------------------------------------------------------------


class WorkerProcess:
    """
    A worker in a process of its own.

    Args:
        command: How to start it.
        log: Where it writes what it logs.
        environment: What it finds in its environment, beside that of this process.
    """

    def __init__(self, command: list[str], log: Path, environment: dict[str, str]) -> None:
        self._log = log
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def exit_status(self) -> int | None:
        return self.process.poll()

    def log(self) -> str:
        """Return what it has logged."""
        return self._log.read_text(errors="replace")

    async def ready(self, times: int = 1) -> WorkerProcess:
        """Return when it performs, or each of its processes does."""

        def is_ready() -> bool:
            assert self.exit_status is None, f"the worker did not start:\n{self.log()}"
            return self.log().count(" ready: ") >= times

        await until(is_ready, "the worker is not ready")
        return self

    def kill(self) -> float:
        """End it by SIGKILL; return when."""
        self.process.kill()
        when = time.monotonic()
        self.process.wait()
        return when

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Return its exit status when it has ended."""
        await until(lambda: self.exit_status is not None, f"the worker lives on:\n{self.log()}")
        status = self.exit_status
        assert status is not None
        return status

    def close(self) -> None:
        """End it, whatever state it is in."""
        if self.exit_status is not None:
            return
        # A supervisor takes its processes with it, if it is asked first.
        self.signal(signal.SIGCONT)
        for patience in (1.1 * SAME_WISH, 10):
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
                return
        self.process.kill()
        self.process.wait()


class Workers:
    """
    The workers of one test.

    Args:
        url: Where their calls come from, unless a worker is told otherwise.
        folder: For their logs.
        environment: What tells them which namespace and which ledger are theirs.
    """

    def __init__(self, url: str, folder: Path, environment: dict[str, str]) -> None:
        self._url = url
        self._folder = folder
        self._environment = environment
        self.started: list[WorkerProcess] = []

    def start(self, *options: object, url: str = "", **environment: str) -> WorkerProcess:
        """Start one by the command of the library; await its ``ready()``."""
        command = ["-m", "atasks_ng", "worker", str(HERE / "faulty_tasks.py"), *map(str, options)]
        return self._start(command, {"ATASKS_NG_URL": url or self._url, **environment})

    def start_script(self, concurrency: int, options: str, url: str = "") -> WorkerProcess:
        """Start one with options of the transport, as JSON; await its ``ready()``."""
        command = ["-m", "tests.faults.worker", url or self._url, str(concurrency), options]
        return self._start(command, {})

    def _start(self, arguments: list[str], environment: dict[str, str]) -> WorkerProcess:
        log = self._folder / f"worker-{len(self.started)}.log"
        worker = WorkerProcess(
            [sys.executable, *arguments], log, {**self._environment, **environment}
        )
        self.started.append(worker)
        return worker

    def close(self) -> None:
        """End all of them."""
        for worker in self.started:
            worker.close()


# -- links -------------------------------------------------------------------------------------


@contextlib.contextmanager
def link(url: str, make_filter: Callable[[], Filter] | None = None) -> Iterator[tuple[Proxy, str]]:
    """Stand between somebody and the broker: the proxy, and the URL that goes through it."""
    parts = urlsplit(url)
    with Proxy(parts.hostname or "", parts.port or 5672, make_filter=make_filter) as proxy:
        place = parts.netloc.replace(f":{parts.port}", f":{proxy.port}")
        yield proxy, parts._replace(netloc=place).geturl()


@dataclasses.dataclass
class Place:
    """Where a test makes its calls."""

    url: str
    tasks: ModuleType
    ledger: Ledger
    workers: Workers
    folder: Path

    @property
    def namespace(self) -> str:
        found: str = self.tasks.NAMESPACE
        return found

    @property
    def gate(self) -> Path:
        """What bodies wait for; ``touch()`` opens it."""
        return self.folder / "gate"

    @property
    def own_gate(self) -> Path:
        """The same for the bodies of one process only: ``open_gate(pid)`` opens it."""
        return self.folder / "gate-{pid}"

    def open_gate(self, pid: int) -> None:
        """Let the bodies of one process go on."""
        (self.folder / f"gate-{pid}").touch()

    def queue(self, name: str = "default") -> str:
        """Return the name of a queue of requests on the broker."""
        return f"atasks_ng.{self.namespace}.work.{name}"

    @property
    def dead(self) -> str:
        """The queue of refused messages on the broker."""
        return f"atasks_ng.{self.namespace}.dead"


async def all_of(calls: list[Any], timeout: float = HANGS_AFTER) -> list[Any]:
    """Return what all calls return, or raise what the first that fails raises."""
    async with asyncio.timeout(timeout):
        return list(await asyncio.gather(*calls))
