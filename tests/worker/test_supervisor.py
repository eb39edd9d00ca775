"""The supervisor with real processes: small ones, which neither import the library nor connect."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence

import pytest

from atasks_ng.worker.supervision import Policy
from atasks_ng.worker.supervisor import Supervisor

# A worker process in four lines: say that it is ready, and end when told or when alone.
WORKER = """
import os, signal, socket
signal.signal(signal.SIGTERM, {on_term})
end = socket.socket(fileno=int(os.environ["ATASKS_NG_LIFELINE_FD"]))
end.send(b"ready\\n")
end.recv(1)
"""
OBEDIENT = WORKER.format(on_term="lambda *args: os._exit(0)")
DEAF = WORKER.format(on_term="signal.SIG_IGN")
# Its fork holds the same end of the lifeline, for as long as there is another end.
FORKING = """
import os, socket
if os.fork() == 0:
    socket.socket(fileno=int(os.environ["ATASKS_NG_LIFELINE_FD"])).recv(1)
os._exit(7)
"""


class Log(logging.Handler):
    """What the supervisor reports, to wait for."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self._seen = 0
        self._new = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self._new.set()

    async def says(self, pattern: str) -> re.Match[str]:
        """Return the next line with a pattern."""
        async with asyncio.timeout(30):
            while True:
                while self._seen < len(self.lines):
                    self._seen += 1
                    if match := re.search(pattern, self.lines[self._seen - 1]):
                        return match
                self._new.clear()
                await self._new.wait()


@pytest.fixture
def log() -> Iterator[Log]:
    handler = Log()
    logger = logging.getLogger("atasks_ng.worker")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


def python(code: str) -> Callable[[int], Sequence[str]]:
    return lambda number: [sys.executable, "-I", "-S", "-c", code]


def supervise(policy: Policy, code: str) -> asyncio.Task[int]:
    return asyncio.create_task(Supervisor(policy, python(code)).run())


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


async def test_supervisor_starts_processes_and_stops_them(log: Log) -> None:
    running = supervise(Policy(2), OBEDIENT)
    for _ in range(2):
        await log.says(r"worker process \d \(pid \d+\) ready")

    stop()

    assert await running == 0
    assert sum("ended with exit status 0" in line for line in log.lines) == 2


async def test_supervisor_restarts_what_was_killed(log: Log) -> None:
    running = supervise(Policy(1, first_pause=0.01), OBEDIENT)
    pid = int((await log.says(r"\(pid (\d+)\) ready"))[1])

    os.kill(pid, signal.SIGKILL)

    await log.says(r"died with signal 9 \(SIGKILL\), restarting in 0.01 s")
    again = int((await log.says(r"worker process 1 \(pid (\d+)\) ready"))[1])
    assert again != pid
    stop()
    assert await running == 0


async def test_supervisor_gives_up_on_what_never_gets_ready(log: Log) -> None:
    policy = Policy(1, max_failures=3, first_pause=0.01)

    assert await supervise(policy, "raise SystemExit(7)") == 1

    assert "ended with exit status 7; 3 times in a row" in log.lines[-1]


async def test_supervisor_hears_the_death_of_a_process_that_forked(log: Log) -> None:
    assert await supervise(Policy(1, max_failures=1), FORKING) == 1


async def test_supervisor_kills_what_does_not_heed_the_signal(log: Log) -> None:
    running = supervise(Policy(1, grace=0.05, kill_after=0.05), DEAF)
    await log.says("ready")

    stop()

    assert await running == 1
    assert any("did not stop in time" in line for line in log.lines)


async def test_supervisor_that_cannot_start_a_process_gives_up(log: Log) -> None:
    supervisor = Supervisor(
        Policy(1, max_failures=2, first_pause=0.01), lambda number: ["/no/such/program"]
    )

    assert await supervisor.run() == 1

    assert "cannot start worker process 1" in log.lines[0]


async def test_processes_have_a_session_of_their_own(log: Log) -> None:
    running = supervise(Policy(1), OBEDIENT)

    pid = int((await log.says(r"\(pid (\d+)\) ready"))[1])

    assert os.getsid(pid) == pid != os.getsid(0)
    stop()
    assert await running == 0
