"""The worker processes of a scenario: started, watched, stopped, counted."""

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import Self

# Long enough for a slow machine that starts several interpreters at once.
START_TIMEOUT = 60.0

# What runs when a scenario ends was left over by an error or by Ctrl-C.
GRACE = 5.0
STOP_TIMEOUT = GRACE + 15.0

# Stops the workers when the pipe from the runner closes: also when the runner was killed. Its own
# output is closed, so that the end of the workers is the end of what the runner reads.
_GUARD = """
"$@" &
exec >&- 2>&-
read -r line
kill -TERM $!
wait $!
"""

_READY = re.compile(r"worker (\S+) ready\b")
_STOPPED = re.compile(r"worker (\S+) stopped: performed (\d+) calls")
_NOTABLE = re.compile(r" (ERROR|CRITICAL) ")


class WorkersError(Exception):
    """The workers did not start, or did not stop in order; the text has the end of their log."""


class Workers:
    """
    Worker processes for one module, ready inside the context.

    Args:
        module: The module whose tasks they perform.
        url: Where they find their calls.
        count: How many processes.
        log_level: Least level of what is shown of their log.

    Attributes:
        performed: How many calls each process performed, by name; known when they have stopped.
    """

    def __init__(self, module: str, url: str, count: int, log_level: str) -> None:
        self.performed: dict[str, int] = {}
        # Not below info: the log tells who is ready, and what was performed.
        level = "debug" if log_level == "debug" else "info"
        worker = [sys.executable, "-m", "atasks_ng", "worker", module, "--log-level", level]
        worker += ["--processes", str(count), "--name", module.rpartition(".")[2]]
        self._command = ["/bin/sh", "-c", _GUARD, "guard", *worker, "--grace", str(GRACE)]
        # In the environment: a password on a command line is there for everybody to read.
        self._environment = {**os.environ, "ATASKS_NG_URL": url}
        self._count = count
        self._shows_all = log_level in ("debug", "info")
        self._log: list[str] = []
        # Simple: an interrupt within Queue.get() may leave its lock taken, and the reader stuck.
        self._ready: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        # A session of their own: Ctrl-C at the terminal is for the runner, which stops them.
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self._wait_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        code = self._stop()
        if code and exc is None:
            raise WorkersError(f"the workers ended with exit code {code}:\n{self._tail()}")

    def _wait_ready(self) -> None:
        end = time.monotonic() + START_TIMEOUT
        for _ in range(self._count):
            try:
                alive = self._ready.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                alive = False
            if not alive:
                raise WorkersError(f"the workers did not start:\n{self._tail()}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._take(line)
        self._ready.put(False)

    def _take(self, line: str) -> None:
        self._log.append(line)
        if self._shows_all or _NOTABLE.search(line):
            sys.stderr.write(line)
        if _READY.search(line):
            self._ready.put(True)
        elif stopped := _STOPPED.search(line):
            name, calls = stopped.groups()
            self.performed[name] = self.performed.get(name, 0) + int(calls)

    def _stop(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            return self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            # Bounded: a grandchild may hold the other end of the pipe open.
            self._reader.join(GRACE)

    def _tail(self) -> str:
        return "".join(self._log[-30:]).rstrip()
