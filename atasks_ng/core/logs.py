"""Log records that say which call they belong to, and those that strangers cause."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from ..places.current import running

_installed = False


def mark_records() -> None:
    """
    Give every log record of this process ``call_id`` and ``call_task``.

    Both are ``None`` outside of a task. A format string shows them as ``%(call_id)s``. Called when
    a process begins to perform calls; calling it again does nothing.
    """
    global _installed  # noqa: PLW0603  # the factory is one for the process, too
    if _installed:
        return
    _installed = True
    make = logging.getLogRecordFactory()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        call = running.get()
        record.call_id = None if call is None else call.id
        record.call_task = None if call is None else call.request.task
        return record

    logging.setLogRecordFactory(factory)


class SeldomLogger:
    """
    Log what strangers can cause as often as they like: a few records of a kind in so many seconds.

    Args:
        logger: Where to.
        most: How many records of a kind are logged in that time.
        every: The time in seconds; it begins with the first of them.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        logger: logging.Logger,
        most: int = 5,
        every: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._most = most
        self._every = every
        self._clock = clock
        #: For each kind: when its time ends, and how many there were in it.
        self._kinds: dict[str, tuple[float, int]] = {}

    def warning(self, kind: str, sentence: str, *args: object) -> None:
        """Log a warning. See :meth:`log`."""
        self.log(logging.WARNING, kind, sentence, *args)

    def log(self, level: int, kind: str, sentence: str, *args: object) -> None:
        """
        Log a sentence, or count it and say with a later one how many were left out.

        Args:
            level: As for :meth:`logging.Logger.log`.
            kind: What is counted together; of a closed set, which no stranger makes longer.
            sentence: As for :meth:`logging.Logger.log`.
            args: As for that.
        """
        now = self._clock()
        ends, count = self._kinds.get(kind, (now, 0))
        left_out = 0
        if now >= ends:
            left_out = max(0, count - self._most)
            ends, count = now + self._every, 0
        self._kinds[kind] = (ends, count + 1)
        if count >= self._most:
            return
        if left_out:
            sentence, args = sentence + " (and %d more of the kind before)", (*args, left_out)
        self._logger.log(level, sentence, *args)
