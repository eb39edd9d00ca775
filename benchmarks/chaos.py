"""
``python -m benchmarks.chaos``: a tree of calls five deep, while everything fails around it.

Workers are killed, terminated and frozen, links are cut, the broker is restarted in good order and
by ``kill -9``, as one seed decides. Each body writes its start and end into a ledger. Printed are
answers that were lost, hung, wrong or doubled, the runs that were repeated against those
that faults account for, and the longest gap between two answers; any breach makes the exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from atasks_ng import connect, errors
from atasks_ng.testing.broker import PrivateBroker
from atasks_ng.testing.proxy import Proxy

from .chaos_tasks import LEDGER, size, tree

DEPTH, WIDTH = 4, 2

# An await that takes longer than this after the last fault hangs: all patience is shorter.
HANG_AFTER = 120.0


@dataclasses.dataclass
class Account:
    """What the caller saw."""

    begun: int = 0
    answered: int = 0
    wrong: int = 0
    hung: int = 0
    lost: Counter[str] = dataclasses.field(default_factory=Counter)
    faults: Counter[str] = dataclasses.field(default_factory=Counter)
    in_flight: int = 0
    last_answer: float = 0.0
    longest_gap: float = 0.0

    def note_answer(self) -> None:
        """Count an answer, and the time since the one before."""
        now = time.monotonic()
        if self.last_answer:
            self.longest_gap = max(self.longest_gap, now - self.last_answer)
        self.last_answer = now
        self.answered += 1


class Workers:
    """Worker processes, each behind a proxy; one that ends is replaced."""

    def __init__(self, url: str, count: int, folder: Path) -> None:
        self._url = url
        self._log = (folder / "workers.log").open("a")
        self._environment = {**os.environ, LEDGER: str(folder / "ledger")}
        self.processes: list[subprocess.Popen[bytes]] = [self._start() for _ in range(count)]

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "atasks_ng", "worker", "benchmarks.chaos_tasks"]
        command += ["--url", self._url, "--concurrency", "50", "--grace", "5"]
        return subprocess.Popen(command, stderr=self._log, env=self._environment)

    def replace_ended(self) -> None:
        """Start a new process for each one that has ended."""
        self.processes = [
            process if process.poll() is None else self._start() for process in self.processes
        ]

    def close(self) -> None:
        """End them all."""
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._log.close()


class Chaos:
    """The faults, and their dice."""

    def __init__(
        self,
        seed: int,
        node: PrivateBroker,
        links: list[Proxy],
        workers: Workers,
        account: Account,
    ) -> None:
        self._dice = random.Random(seed)
        self._node = node
        self._links = links
        self._workers = workers
        self._account = account
        self._faults: list[tuple[str, int, Callable[[], Awaitable[None]]]] = [
            ("worker killed", 4, self._kill),
            ("worker terminated", 2, self._terminate),
            ("worker frozen", 2, self._freeze_worker),
            ("link cut", 4, self._cut),
            ("link frozen", 1, self._freeze_link),
            ("broker restarted", 1, self._restart),
            ("broker killed", 1, self._kill_broker),
        ]

    async def run(self, seconds: float) -> None:
        """Let something fail every few seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(self._dice.uniform(1.0, 4.0))
            weights = [weight for _, weight, _ in self._faults]
            name, _, fault = self._dice.choices(self._faults, weights)[0]
            self._account.faults[name] += 1
            await fault()
            self._workers.replace_ended()

    def _worker(self) -> subprocess.Popen[bytes]:
        return self._dice.choice(self._workers.processes)

    async def _kill(self) -> None:
        self._worker().kill()

    async def _terminate(self) -> None:
        self._worker().terminate()

    async def _freeze_worker(self) -> None:
        worker = self._worker()
        worker.send_signal(signal.SIGSTOP)
        await asyncio.sleep(self._dice.uniform(1.0, 6.0))
        worker.send_signal(signal.SIGCONT)

    async def _cut(self) -> None:
        self._dice.choice(self._links).cut(reset=self._dice.random() < 0.5)

    async def _freeze_link(self) -> None:
        link = self._dice.choice(self._links)
        link.freeze()
        await asyncio.sleep(self._dice.uniform(1.0, 4.0))
        link.thaw()

    async def _restart(self) -> None:
        await asyncio.to_thread(self._node.restart)

    async def _kill_broker(self) -> None:
        await asyncio.to_thread(self._node.kill)
        await asyncio.to_thread(self._node.start)


async def _keep_calling(account: Account, until: float, width: int) -> None:
    expected = size(DEPTH, WIDTH)
    dice = random.Random(0)

    async def one() -> None:
        account.begun += 1
        account.in_flight += 1
        try:
            async with asyncio.timeout(HANG_AFTER + until - time.monotonic()):
                found = await tree(DEPTH, WIDTH, dice.uniform(0.0, 0.3))
        except TimeoutError:
            account.hung += 1
        except errors.AtasksError as exc:
            account.lost[type(exc).__name__] += 1
        else:
            account.note_answer()
            account.wrong += found != expected
        finally:
            account.in_flight -= 1

    async with asyncio.TaskGroup() as group:
        while time.monotonic() < until:
            while account.in_flight < width:
                group.create_task(one())
                await asyncio.sleep(0)
            await asyncio.sleep(0.01)


def _repeated(ledger: Path) -> tuple[int, int, int]:
    """Return bodies that ran, runs beyond the first, and those that ended more than once."""
    starts: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    for line in ledger.read_text().splitlines():
        what, id, *_ = line.split()
        (starts if what == "start" else ends)[id] += 1
    return len(starts), sum(starts.values()) - len(starts), sum(n > 1 for n in ends.values())


@contextlib.asynccontextmanager
async def _progress(account: Account, seconds: float) -> AsyncIterator[None]:
    begin = time.monotonic()

    async def show() -> None:
        while sys.stderr.isatty():
            spent = time.monotonic() - begin
            text = f"\r{spent:5.0f} of {seconds:.0f} s, {account.answered} answers"
            print(text, end="", file=sys.stderr, flush=True)
            await asyncio.sleep(1)

    showing = asyncio.create_task(show())
    try:
        yield
    finally:
        showing.cancel()


async def _run(options: argparse.Namespace, node: PrivateBroker, folder: Path) -> Account:
    address = urlsplit(node.url)
    account = Account()
    host, port = address.hostname or "127.0.0.1", address.port or 5672
    with Proxy(host, port) as for_workers, Proxy(host, port) as for_caller:
        workers_url = f"amqp://guest:guest@127.0.0.1:{for_workers.port}/"
        workers = Workers(workers_url, options.workers, folder)
        try:
            async with connect(f"amqp://guest:guest@127.0.0.1:{for_caller.port}/"):
                links = [for_workers, for_caller]
                chaos = Chaos(options.seed, node, links, workers, account)
                until = time.monotonic() + options.seconds
                async with _progress(account, options.seconds):
                    storm = asyncio.create_task(chaos.run(options.seconds))
                    await _keep_calling(account, until, options.width)
                    await storm
        finally:
            workers.close()
    return account


def _report(account: Account, ledger: Path, options: argparse.Namespace) -> int:
    bodies, repeated, doubled_ends = _repeated(ledger)
    allowance = sum(account.faults.values()) * options.width * size(DEPTH, WIDTH)
    lost = sum(account.lost.values())
    print(f"seed {options.seed}, {options.seconds:g} s, {options.workers} workers")
    print("faults:      " + ", ".join(f"{n} {name}" for name, n in account.faults.items()))
    print(f"trees:       {account.answered} answered, {size(DEPTH, WIDTH)} calls each")
    print(f"lost:        {lost} {dict(account.lost) if lost else ''}")
    print(f"hung:        {account.hung}")
    print(f"wrong:       {account.wrong}")
    # An await that ended twice, or a tree that was never accounted for, would show here.
    doubled = account.answered + account.hung + lost - account.begun
    print(f"doubled:     {doubled}")
    print(f"bodies:      {bodies} ran, {repeated} runs repeated, at most {allowance} in flight at")
    print(f"             faults; {doubled_ends} bodies ended twice, their second answers dropped")
    print(f"longest gap: {account.longest_gap:.1f} s between two answers")
    breach = lost or account.hung or account.wrong or doubled or repeated > allowance
    breach = breach or not account.answered
    print("BREACH" if breach else "no breach")
    return int(bool(breach))


def main(argv: list[str] | None = None) -> int:
    """Run, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--workers", type=int, default=3, help="default: %(default)s")
    parser.add_argument(
        "--width", type=int, default=10, help="trees awaited at once (default: %(default)s)"
    )
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name, PrivateBroker() as node:
        folder = Path(name)
        (folder / "ledger").touch()
        account = asyncio.run(_run(options, node, folder))
        return _report(account, folder / "ledger", options)


if __name__ == "__main__":
    sys.exit(main())
