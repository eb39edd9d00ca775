"""The life of a worker process: connect, perform, and stop when asked."""

from __future__ import annotations

import asyncio
import logging

from ..places.namespaces import namespaces
from ..words.errors import ConnectionLostError
from ..worker.backoff import delay_before
from ..worker.lifeline import Lifeline
from ..worker.serving import Worker
from ..worker.stopping import StopSignals, leave_after, name_of_signal

logger = logging.getLogger("atasks_ng.worker")

# Pauses in seconds between tries to connect: short enough that nobody waits for them, long enough
# for a broker that starts with thousands of workers waiting for it.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0

# How long after the grace time a process leaves that could not stop.
_LATE = 5.0

# How long a process that has stopped waits for threads and tasks that nothing can end.
_LINGER = 2.0


async def perform_until_stopped(worker: Worker, *, owns_process: bool) -> int:
    """
    Perform calls until a signal comes or the supervisor is gone; keep trying to connect until then.

    Args:
        worker: Not open yet.
        owns_process: End the process even if something keeps it.

    Returns:
        The exit status.

    Raises:
        BadURLError, OptionError: The URL or an option cannot be used.
    """
    stop = _Stop(worker.grace if owns_process else None)
    lifeline = Lifeline.from_environment()
    with StopSignals(stop.by_signal):
        watch = asyncio.create_task(stop.with_supervisor(lifeline)) if lifeline else None
        if await stop.unless_first(_connect(worker)):
            _tell_ready(worker)
            if lifeline is not None:
                lifeline.tell_ready()
            await stop.wait()
        worker.close()
        await worker.wait_closed()
    logger.info(
        "worker %s stopped: performed %d calls, handed back %d",
        worker.name,
        worker.performed,
        worker.handed_back,
    )
    stop.over()
    if watch is not None:
        watch.cancel()
    if owns_process:
        leave_after(_LINGER, 0)
    return 0


class _Stop:
    """The wish to stop, and leaving late if it is not fulfilled."""

    def __init__(self, grace: float | None) -> None:
        self._event = asyncio.Event()
        self._grace = grace
        self._call_off = None

    def by_signal(self, signum: int) -> None:
        logger.info("%s: stopping; a second signal leaves at once", name_of_signal(signum))
        self._begin()

    async def with_supervisor(self, lifeline: Lifeline) -> None:
        await lifeline.wait_lost()
        logger.warning("the supervisor is gone: stopping")
        self._begin()
