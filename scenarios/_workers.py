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
STOP_TIMEOUT = 40.0

_READY = re.compile(r"worker (\S+) ready\b")
_STOPPED = re.compile(r"worker (\S+) stopped: performed (\d+) calls")
_NOTABLE = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b")


class WorkersError(Exception):
    """The workers did not start, or did not stop; the text has the end of their log."""


class Workers:
    """
    Worker processes for one module, ready inside the context.

    Args:
        module: The module whose tasks they perform.
        url: Where they find their calls.
        count: How many processes.
        log_level: Least level of what they log; warnings and worse are always shown.
    """

    def __init__(self, module: str, url: str, count: int, log_level: str) -> None:
        self.performed: dict[str, int] = {}
        self._command = [sys.executable, "-m", "atasks_ng", "worker", module]
        self._command += ["--processes", str(count), "--name", module.rpartition(".")[2]]
        # In the environment: a password on a command line is there for everybody to read.
        self._environment = {**os.environ, "ATASKS_NG_URL": url}
        self._count = count
        self._shows_all = log_level in ("debug", "info")
        self._log: list[str] = []
        self._ready: queue.Queue[bool] = queue.Queue()

    def __enter__(self) -> Self:
        # A session of their own: Ctrl-C at the terminal is for the runner, which stops them.
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
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
            self._kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        try:
            self._process.terminate()
            code = self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise WorkersError(f"the workers did not stop:\n{self._tail()}") from None
        finally:
            self._kill()
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
        for line in self._process.stdout:
            self._log.append(line)
            if self._shows_all or _NOTABLE.search(line):
                sys.stderr.write(line)
            if _READY.search(line):
                self._ready.put(True)
            elif stopped := _STOPPED.search(line):
                name, calls = stopped.groups()
                self.performed[name] = self.performed.get(name, 0) + int(calls)
        self._ready.put(False)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()

    def _tail(self) -> str:
        return "".join(self._log[-30:]).rstrip()
