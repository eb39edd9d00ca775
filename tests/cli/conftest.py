"""What the tests of the commands share: real processes, and their output to wait for."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import re
import signal
import sys
import uuid
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

import atasks_ng

# Longer than anything here takes on a machine that is busy; nothing waits for it to pass.
PATIENCE = 30.0

ROOT = Path(atasks_ng.__file__).parents[1]

JOBS = """
import asyncio
import os
from pathlib import Path

from atasks_ng import atask


@atask(namespace="{namespace}")
async def pid() -> int:
    return os.getpid()


@atask(namespace="{namespace}")
async def hold(mark: str) -> str:
    Path(mark + ".started").touch()
    while not Path(mark).exists():
        await asyncio.sleep(0.01)
    return "done"


@atask(namespace="{namespace}")
async def block(mark: str) -> None:
    Path(mark + ".started").touch()
    while True:
        pass


@atask(namespace="{namespace}")
def hang(mark: str) -> None:
    Path(mark + ".started").touch()
    while not Path(mark).exists():
        os.sched_yield()
"""


class Command:
    """
    A running ``atasks-ng``, in a folder of its own.

    Attributes:
        process: Its process.
        lines: What it and its children have written so far.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._seen = 0
        self._changed = asyncio.Condition()
        self._silent = False
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self._changed:
                self.lines.append(line.decode().rstrip())
                self._changed.notify_all()
        async with self._changed:
            self._silent = True
            self._changed.notify_all()

    async def says(self, pattern: str) -> re.Match[str]:
        """Return the next line that has a pattern, after the one that was returned last."""
        try:
            async with asyncio.timeout(PATIENCE), self._changed:
                while True:
                    while self._seen < len(self.lines):
                        self._seen += 1
                        if match := re.search(pattern, self.lines[self._seen - 1]):
                            return match
                    if self._silent:
                        raise TimeoutError
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"never said {pattern!r}:\n{self.output}") from None

    async def ends(self) -> int:
        """Return the exit status, once it has ended and every process it started, too."""
        async with asyncio.timeout(PATIENCE):
            status = await self.process.wait()
            await self._reading  # all of them hold the pipe open
        return status

    async def signal_until_it_says(self, pattern: str, *signums: int) -> None:
        """Send signals, by turns, as an impatient user would, until it says something."""
        saying = asyncio.create_task(self.says(pattern))
        for signum in itertools.cycle(signums):
            if (await asyncio.wait([saying], timeout=0.1))[0]:
                break
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signum)
        await saying

    @property
    def output(self) -> str:
        """All of ``lines``."""
        return "\n".join(self.lines)

    async def kill(self) -> None:
        """End it and its children, if the test has not."""
        pids = re.findall(r"\(pid (\d+)\) started", self.output)
        for pid in [self.process.pid, *map(int, pids)] if not self._silent else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self.ends()


StartCommand = Callable[..., Awaitable[Command]]


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """Leave the loggers as they were: a command that runs in this process configures them."""
    loggers = [logging.getLogger(name) for name in ("atasks_ng", "aiormq")]
    before = [(each, each.level, each.propagate, each.handlers[:]) for each in loggers]
    yield
    for each, level, propagate, handlers in before:
        each.setLevel(level)
        each.propagate = propagate
        each.handlers[:] = handlers


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test uses, on the broker they share."""
    return f"cli-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def jobs(tmp_path: Path, namespace: str) -> str:
    """The name of a module in the folder of the test, with tasks."""
    (tmp_path / "jobs.py").write_text(JOBS.format(namespace=namespace))
    return "jobs"


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[StartCommand]:
    """Start ``atasks-ng`` with arguments, in the folder of the test."""
    commands: list[Command] = []

    async def start(*args: str, **environment: str) -> Command:
        clean = {name: value for name, value in os.environ.items() if "ATASKS" not in name}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "atasks_ng",
            *args,
            cwd=tmp_path,
            env={**clean, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment},
            stdout=PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        commands.append(Command(process))
        return commands[-1]

    yield start
    for command in commands:
        await command.kill()
