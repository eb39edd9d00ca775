"""The life of a worker process: connect, perform, and stop when asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ..places.namespaces import namespaces
from ..words.errors import AccessDeniedError, ConnectionLostError, TLSError
from ..words.reasons import Told
from ..worker.backoff import delay_before
from ..worker.health import Address, Health
from ..worker.lifeline import Lifeline
from ..worker.serving import Worker
from ..worker.stopping import StopSignals, ignore_stop_signals, leave_after, name_of_signal

logger = logging.getLogger("atasks_ng.worker")

# Pauses in seconds between tries to connect: short enough that nobody waits for them, long enough
# for a broker that starts with thousands of workers waiting for it.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0

# How long after the grace time a process leaves that could not stop.
_LATE = 5.0

# How long a process that has stopped waits for threads and tasks that nothing can end.
_LINGER = 2.0


async def perform_until_stopped(
    worker: Worker, *, owns_process: bool, health: Address | None = None
) -> int:
    """
    Perform calls until a signal comes or the supervisor is gone; keep trying to connect until then.

    Args:
        worker: Not open yet.
        owns_process: End the process even if something keeps it.
        health: Where the health endpoint listens, or ``None`` for none.

    Returns:
        The exit status.

    Raises:
        BadURLError, OptionError: The URL or an option cannot be used, or ``health`` is taken.
    """
    stop = _Stop(worker.grace, owns_process=owns_process)
    lifeline = Lifeline.from_environment()
    endpoint = Health(worker, health) if health is not None else None
    if endpoint is not None:
        await endpoint.open()
    with StopSignals(stop.by_signal):
        watch = asyncio.create_task(stop.with_supervisor(lifeline)) if lifeline else None
        if await stop.unless_before(worker):
            _tell_ready(worker)
            if lifeline is not None:
                lifeline.tell_ready()
            await stop.wait()
        worker.close()
        await worker.wait_closed()
    if owns_process:
        ignore_stop_signals()
    logger.info(
        "worker %s stopped: performed %d calls, handed back %d",
        worker.name,
        worker.performed,
        worker.handed_back,
    )
    stop.over()
    if endpoint is not None:
        await endpoint.close()
    if watch is not None:
        watch.cancel()
    if owns_process:
        leave_after(_LINGER, 0)
    return 0


class _Stop:
    """The wish to stop, and leaving late if it is not fulfilled."""

    def __init__(self, grace: float | None, *, owns_process: bool) -> None:
        self._wish = asyncio.Event()
        self._grace = grace
        self._owns_process = owns_process
        self._call_off: Callable[[], None] | None = None

    def by_signal(self, signum: int) -> None:
        """A signal came."""
        logger.info("%s: stopping; a second signal leaves at once", name_of_signal(signum))
        self._begin()

    async def with_supervisor(self, lifeline: Lifeline) -> None:
        """Stop when the supervisor is gone."""
        await lifeline.wait_lost()
        logger.warning("the supervisor is gone: stopping")
        self._begin()

    async def wait(self) -> None:
        """Return when somebody wants a stop."""
        await self._wish.wait()

    async def unless_before(self, worker: Worker) -> bool:
        """Connect a worker and return True; or leave it at that and return False."""
        working = asyncio.create_task(_connect(worker))
        waiting = asyncio.create_task(self.wait())
        await asyncio.wait([working, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not working.done() and not worker.running:
            working.cancel()
        # Where calls run already, they have their grace time after this.
        await asyncio.wait([working])
        if not working.cancelled():
            working.result()
        return not self._wish.is_set()

    def over(self) -> None:
        """The worker has stopped."""
        if self._call_off is not None:
            self._call_off()

    def _begin(self) -> None:
        self._wish.set()
        if self._owns_process and self._grace is not None and self._call_off is None:
            late = f"could not stop within {self._grace + _LATE:g} s: leaving"
            self._call_off = leave_after(self._grace + _LATE, 1, late)


async def _connect(worker: Worker) -> None:
    """Open a worker; while that fails, try again, and say why once a minute for each reason."""
    failures, told = 0, Told()
    while True:
        try:
            await worker.open()
        except (ConnectionLostError, OSError) as exc:
            failures += 1
            line = f"{exc}; trying again until {_awaited(exc)}"
        else:
            break
        if told.is_due(line):
            logger.warning("%s", line)
        await asyncio.sleep(delay_before(failures, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE))
    if failures:
        logger.info("connected to %s", worker.url)


def _awaited(exc: Exception) -> str:
    if isinstance(exc, AccessDeniedError):
        return "the broker permits it"
    return "TLS works there" if isinstance(exc, TLSError) else "it can connect"


def _tell_ready(worker: Worker) -> None:
    serving = worker.serving
    logger.info(
        "worker %s ready: %d tasks, namespaces %s, queues %s, concurrency %d, %s",
        worker.name,
        sum(len(namespaces.get(name).registry) for name in worker.namespaces),
        ", ".join(worker.namespaces),
        ", ".join(serving.queues or ("every one",)),
        serving.concurrency,
        worker.url,
    )
