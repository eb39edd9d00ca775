"""One process that performs the calls of some namespaces, until it is asked to stop."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from ..core.connecting import Connection, Serving
from ..router import DEFAULT_CONCURRENCY
from ..words import errors
from ..words.options import seconds
from .watchdog import Watchdog

#: Seconds that running calls have to end when a worker stops. 30: what container platforms
#: give a process between the request to stop and the end.
DEFAULT_GRACE = 30.0

_NEW, _OPEN, _STOPPING, _CLOSED = "new", "open", "stopping", "closed"


class Worker:
    """
    A process as a worker: it performs the calls of its namespaces. Made by :func:`serve`.

    Attributes:
        namespaces: The namespaces it serves.
        serving: How it serves each of them.
        grace: Seconds that running calls have to end when it stops; ``None``: no limit.
        handed_back: How many calls it gave back to their queue when it stopped.
    """

    def __init__(
        self, connections: Iterable[Connection], serving: Serving, grace: float | None
    ) -> None:
        self._connections = tuple(connections)
        self._state = _NEW
        self._drains: list[asyncio.Task[None]] = []
        self._ending: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._until = float("inf")
        self._watchdog = Watchdog()
        self.namespaces = tuple(connection.namespace for connection in self._connections)
        self.serving = serving
        self.grace = grace
        self.handed_back = 0

    @property
    def name(self) -> str:
        """Its name in logs and tracebacks."""
        return self.serving.name or self._connections[0].router.name

    @property
    def url(self) -> str:
        """Where its calls come from, the password masked."""
        return self._connections[0].url

    @property
    def state(self) -> str:
        """``"new"``, ``"open"``, ``"stopping"`` or ``"closed"``."""
        return self._state

    @property
    def is_linked(self) -> bool:
        """True while every namespace has its link."""
        return all(connection.is_linked for connection in self._connections)

    @property
    def is_ready(self) -> bool:
        """True while it takes calls."""
        return self._state is _OPEN and self.is_linked

    @property
    def running(self) -> int:
        """How many calls it holds."""
        return sum(connection.running for connection in self._connections)

    @property
    def performed(self) -> int:
        """How many calls it has ended."""
        return sum(connection.performed for connection in self._connections)

    # -- opening -------------------------------------------------------------------------------

    async def open(self) -> Worker:
        """
        Connect and begin to perform, in every namespace or in none; once open, nothing happens.

        Raises:
            BadURLError, OptionError: The URL or an option cannot be used.
            ConnectionLostError: Nobody answers there.
            UsageError: This process serves one of the namespaces already, or the worker
                was closed.
        """
        if self._state is _OPEN:
            return self
        if self._state is not _NEW:
            raise errors.UsageError("this worker was closed: make a new one with serve()")
        try:
            for connection in self._connections:
                await connection.open()
        except BaseException:
            await self._disconnect()
            raise
        self._state = _OPEN
        self._watchdog.start()
        return self

    # -- stopping ------------------------------------------------------------------------------

    def close(self, grace: float | datetime.timedelta | None = None) -> None:
        """
        Begin to stop: take no more calls, and let those that run end.

        Returns at once; :meth:`wait_closed` returns when it is over. A second call changes
        nothing, unless it has less patience than the first.

        Args:
            grace: Longest wait in seconds; then what runs is cancelled and handed back. ``None``
                means the grace that :func:`serve` was given.
        """
        patience = self.grace if grace is None else seconds("grace", grace)
        if self._state is _NEW:
            self._state = _CLOSED
            self._over.set()
        if self._state is _CLOSED:
            return
        loop = asyncio.get_running_loop()
        until = float("inf") if patience is None else loop.time() + patience
        if self._drains and until >= self._until:
            return
        self._until = until
        self._drains.append(loop.create_task(self._drain(patience)))
        if self._ending is None:
            self._state = _STOPPING
            self._ending = loop.create_task(self._end())

    async def wait_closed(self) -> None:
        """
        Return when the worker has stopped, whoever asked it to.

        Raises:
            Exception: What kept it from stopping in order.
        """
        await self._over.wait()
        if self._ending is not None:
            self._ending.result()

    async def _drain(self, patience: float | None) -> None:
        # All at once: a call of one namespace may await one of another.
        drained = [connection.drain(patience) for connection in self._connections]
        self.handed_back += sum(await asyncio.gather(*drained))

    async def _end(self) -> None:
        try:
            while waiting := [drain for drain in self._drains if not drain.done()]:
                await asyncio.wait(waiting)
            await self._disconnect()
            for drain in self._drains:
                drain.result()
        finally:
            self._state = _CLOSED
            self._over.set()

    async def _disconnect(self) -> None:
        self._watchdog.stop()
        async with contextlib.AsyncExitStack() as stack:
            for connection in self._connections:
                stack.push_async_callback(connection.close)

    async def __aenter__(self) -> Worker:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()
        try:
            await self.wait_closed()
        except asyncio.CancelledError:
            # Cancelled while it waits for running calls: their time is over, too.
            self.close(grace=0)
            await self.wait_closed()
            raise

    def __repr__(self) -> str:
        where = ", ".join(map(repr, self.namespaces))
        return (
            f"<Worker {self.name!r} of {where} at {self.url}, {self._state}: "
            f"{self.running} calls running, {self.performed} performed>"
        )


def serve(
    url: str | None = None,
    *,
    namespace: str | Iterable[str] = "default",
    queues: str | Iterable[str] = ("default",),
    concurrency: int = DEFAULT_CONCURRENCY,
    threads: int | None = None,
    grace: float | datetime.timedelta | None = DEFAULT_GRACE,
    name: str | None = None,
    tracebacks: str | None = None,
    **options: Any,
) -> Worker:
    """
    Let this process perform calls, and make them, inside ``async with serve(url) as worker:``.

    Args:
        url: ``amqp://…``, ``amqps://…`` or ``loopback://`` (callers in the same event loop only);
            by default ``$ATASKS_NG_URL``, and without it ``loopback://``.
        namespace: The namespace to serve, or several; each gets a ``MsgpackCodec`` if it has no
            codec, and slots of its own.
        queues: The queues to serve, the same in each namespace.
        concurrency: How many calls run at once in each namespace; those that wait for others
            do not count.
        threads: How many plain functions run at once; ``None``: as many as ``concurrency``
            allows, 32 at most.
        grace: Seconds, or a timedelta, that running calls have to end when the worker stops; then
            they are cancelled and handed back to their queue. ``None`` waits for all.
        name: Name of this worker in logs and tracebacks; host name and process id by default.
        tracebacks: What callers are told of where a task failed: ``"full"``: files, lines,
            functions and sources; ``"names"``: functions and lines; ``"off"``: nothing. ``None``
            leaves what the router has, ``"full"`` unless it was made with another.
        options: Further options of the transport.

    Returns:
        A worker, not open yet: enter it with ``async with``.

    Raises:
        OptionError: A name or a number is out of range, or there is no such ``tracebacks``.
        BadURLError: When it is entered: the URL cannot be used.
        ConnectionLostError: When it is entered: nobody answers there.
        UsageError: When it is entered: this process serves the namespace already.
    """
    serving = Serving(_names(queues), concurrency, threads, name, tracebacks)
    names = _names(namespace)
    if not names:
        raise errors.OptionError("namespace=() is empty: name at least one namespace to serve")
    patience = seconds("grace", grace)
    if patience is not None and patience < 0:
        raise errors.OptionError(f"grace={grace!r}: give 0 seconds or more, or None for no limit")
    connections = [Connection(url, each, dict(options), serving) for each in names]
    return Worker(connections, serving, patience)


def _names(given: str | Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(dict.fromkeys(given))
