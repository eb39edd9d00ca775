"""A thread that notices when a body blocks the event loop, and says which and where."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback

logger = logging.getLogger("atasks_ng.worker")

#: Seconds after which a loop that does not turn is reported.
STALL_SECONDS = 1.0


class Watchdog:
    """
    Watch the loop it is started in.

    While it does not turn, nobody in the process gets on. The remedy is the author's: a plain
    ``def`` runs in a thread, and ``asyncio.to_thread`` does.

    Args:
        stall: Seconds that the loop may stand still before the log says so.
    """

    def __init__(self, stall: float = STALL_SECONDS) -> None:
        self._stall = stall
        self._stop = threading.Event()
        self._turned = time.monotonic()
        # Who was reported, and when the loop had turned last; set by the thread.
        self._blamed: tuple[float, str] | None = None
        self._thread: threading.Thread | None = None
        self._beat: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watch the running loop from now on."""
        loop = asyncio.get_running_loop()
        self._turn(loop)
        self._thread = threading.Thread(
            target=self._watch,
            args=(loop, threading.get_ident()),
            name="atasks_ng watchdog",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; must be called in the loop."""
        self._stop.set()
        if self._beat is not None:
            self._beat.cancel()

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        before, self._turned = self._turned, now
        self._beat = loop.call_later(self._stall / 4, self._turn, loop)
        blamed, self._blamed = self._blamed, None
        if blamed is not None and blamed[0] == before:
            logger.warning(
                "the event loop turns again: %s blocked it for %.1f s", blamed[1], now - before
            )

    def _watch(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        reported = 0.0
        while not self._stop.wait(self._stall / 4):
            turned = self._turned
            still = time.monotonic() - turned
            if still > self._stall and turned != reported:
                reported = turned
                self._report(loop, thread, turned, still)

    def _report(
        self, loop: asyncio.AbstractEventLoop, thread: int, turned: float, still: float
    ) -> None:
        task = asyncio.current_task(loop)
        name = "a callback" if task is None else task.get_name()
        frame = sys._current_frames().get(thread)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
        self._blamed = (turned, name)
        logger.warning(
            "%s has blocked the event loop for %.1f s; nobody else runs meanwhile. It is at\n%s",
            name,
            still,
            stack,
        )
