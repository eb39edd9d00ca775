"""Signals that ask a process to stop, and leaving when something hangs."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from types import FrameType, TracebackType
from typing import Any, NoReturn

#: What asks a process to stop.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: Seconds after the first signal within which another is the same wish: ``timeout`` signals its
#: child and then the group that the child is in, and systemd every process of a service.
SAME_WISH = 1.0


class StopSignals:
    """
    Within ``with``: the first signal calls a function, the second ends the process at once.

    What comes within ``SAME_WISH`` seconds of the first counts as the first.

    The process's own handlers are used, not those of the event loop: the second signal must work
    while a body blocks the loop.

    Args:
        on_stop: Called in the running loop with the number of the first signal.
        signals: The signals.
        clock: Tells the time in seconds.
    """

    def __init__(
        self,
        on_stop: Callable[[int], object],
        signals: Iterable[int] = STOP_SIGNALS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_stop = on_stop
        self._signals = tuple(signals)
        self._clock = clock
        self._first_at = 0.0
        self._before: dict[int, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        #: The first signal that came, or ``None``.
        self.received: int | None = None

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        now = self._clock()
        if self.received is not None:
            if now - self._first_at < SAME_WISH:
                return
            leave(128 + signum, f"second signal ({name_of_signal(signum)}): leaving at once")
        self.received, self._first_at = signum, now
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._on_stop, signum)

    def __enter__(self) -> StopSignals:
        self._loop = asyncio.get_running_loop()
        for signum in self._signals:
            self._before[signum] = signal.signal(signum, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)


def ignore_stop_signals() -> None:
    """Heed them no more: what comes while this process ends in order must not change how."""
    for signum in STOP_SIGNALS:
        signal.signal(signum, signal.SIG_IGN)


def leave(status: int, why: str | None = None) -> NoReturn:
    """End this process now: no clean-up, no waiting for threads and tasks."""
    if why is not None:
        # Not by logging: this may run in a signal handler, within a logging call.
        os.write(2, f"atasks-ng: {why}\n".encode())
    else:
        logging.shutdown()
    os._exit(status)


def leave_after(delay: float, status: int, why: str | None = None) -> Callable[[], None]:
    """
    End this process if it is still there after a time, whatever keeps it.

    Args:
        delay: Seconds from now.
        status: Its exit status then.
        why: What to say on the standard error stream; ``None``: nothing.

    Returns:
        A function that calls it off.
    """
    # A daemon: it must neither keep the process nor be joined before the threads that hang.
    timer = threading.Timer(delay, leave, (status, why))
    timer.daemon = True
    timer.start()
    return timer.cancel


def name_of_signal(signum: int) -> str:
    """Return the name of a signal, as ``SIGTERM``."""
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"
