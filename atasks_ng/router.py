"""The router: joins tasks, codec and transport of one namespace into calls."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping
from typing import Any

from .core.consuming import consume
from .core.incoming import Incoming
from .core.inline.performing import Inline
from .core.outgoing import Outgoing, perform
from .core.port import Port
from .places.namespaces import namespaces
from .places.registry import Task
from .protocol.calls import CallerTimes
from .transport.base import ANY_QUEUE, Transport
from .words import errors
from .words.options import Limits, TaskOptions, check_name, check_tracebacks

logger = logging.getLogger("atasks_ng.router")

# What the predecessor of this library called these errors.
JobNotFound = errors.UnknownTaskError
NoClientTransportRegistered = errors.NotConnectedError
NoCodecRegistered = errors.NoCodecError
TransportError = errors.ConnectionLostError

#: Calls that run at once unless told otherwise. 100: as fast as no limit when bodies are short,
#: and few enough that other workers get their share.
DEFAULT_CONCURRENCY = 100


class Router:
    """
    Join the tasks, the codec and the transport of one namespace. Creating one installs it.

    Most programs never make one: ``get_router`` does on first use.

    Args:
        namespace: Where to install it.
        name: Name of this process when it performs calls, in logs and tracebacks; host name
            and process id by default.
        max_depth: How deep calls may call calls before ``RecursionError``.
        worker_grace: How long, in seconds, a call may find nobody who serves its queue before it
            fails with :class:`~atasks_ng.words.errors.NoWorkerError`.
        cancel_grace: How long, in seconds, a cancelled call waits for the callee's clean-up.
        max_payload_bytes: Largest arguments and results; ``None`` sets no limit.
        max_in_flight: How many calls of this process, those made by tasks not counted, may be
            under way; the others wait, not even encoded.
        max_in_flight_bytes: The same by the size of their arguments.
        tracebacks: What other processes are told of where an exception was raised in this one:
            ``"full"``: files, lines, functions and sources; ``"names"``: functions and lines;
            ``"off"``: nothing.

    Raises:
        OptionError: A name or a number is out of range, or there is no such ``tracebacks``.
    """

    def __init__(
        self,
        namespace: str = "default",
        *,
        name: str | None = None,
        max_depth: int = 10_000,
        worker_grace: float = 30.0,
        cancel_grace: float = 30.0,
        max_payload_bytes: int | None = 4 * 1024 * 1024,
        max_in_flight: int = 10_000,
        max_in_flight_bytes: int = 64 * 1024 * 1024,
        tracebacks: str = "full",
    ) -> None:
        check_name("namespace", namespace)
        self.namespace = namespace
        self.name = name or f"{socket.gethostname()}:{os.getpid()}"
        self.tracebacks = check_tracebacks(tracebacks)
        self.limits = Limits(
            max_depth=max_depth,
            max_payload_bytes=max_payload_bytes,
            max_in_flight=max_in_flight,
            max_in_flight_bytes=max_in_flight_bytes,
        )
        self.times = CallerTimes(worker_grace=worker_grace, cancel_grace=cancel_grace)
        self.server: Transport | None = None
        self._ports: dict[Transport, Port] = {}
        self._incoming: Incoming | None = None
        self._performed = 0
        self._place = namespaces.get(namespace)
        self._inline = Inline(self._place, self.limits, self._connected)
        namespaces.register(namespace, router=self)

    # -- calling -------------------------------------------------------------------------------

    def call(
        self, task: Task, options: TaskOptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        """Perform a call of a task on whatever worker gets it; return or raise what it does."""
        transport = self._place.transport
        # With none yet, it is known when the call is awaited.
        if transport is None or not transport.copies:
            return self._inline.perform(task, options, args, kwargs)
        return perform(self._connected, task, options, args, kwargs)

    def stream(
        self, task: Task, options: TaskOptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> AsyncGenerator[Any, Any]:
        """Run an async generator on whatever worker gets it."""
        transport = self._place.transport
        if transport is None or not transport.copies:
            return self._inline.consume(task, options, args, kwargs)
        return consume(self._connected, task, options, args, kwargs)

    @property
    def pending(self) -> int:
        """How many calls this process awaits."""
        sent = sum(port.outgoing.pending for port in self._ports.values() if port.outgoing)
        return sent + self._inline.running

    def _connected(self) -> Outgoing:
        """Return what calls go through: the transport that was created last."""
        place = self._place
        transport = place.transport
        loop = asyncio.get_running_loop()
        port = self._ports.get(transport) if transport is not None else None
        if port is not None and port.outgoing is not None and port.outgoing.loop is loop:
            return port.outgoing
        if transport is None:
            raise errors.NotConnectedError(self.namespace)
        port = self._port(transport)
        port.check_usable(self.namespace, loop)
        lost = f"namespace {self.namespace!r} is used in another event loop"
        port.close(errors.ConnectionLostError(lost))
        port.outgoing = Outgoing(place, transport, self.times, self.limits, self.tracebacks)
        return port.outgoing

    def _port(self, transport: Transport) -> Port:
        port = self._ports.get(transport)
        if port is None:
            self._ports = {t: each for t, each in self._ports.items() if not each.is_idle}
            port = self._ports[transport] = Port(transport)
        return port

    def end_calls(self, transport: Transport, error: BaseException) -> None:
        """End every call that awaits a transport with an error; that transport is going away."""
        port = self._ports.pop(transport, None)
        if port is not None:
            port.close(error)

    # -- performing ----------------------------------------------------------------------------

    async def activate(
        self,
        server: Transport,
        *,
        queues: Iterable[str] | None = ("default",),
        concurrency: int = DEFAULT_CONCURRENCY,
        threads: int | None = None,
    ) -> None:
        """
        Perform the requests that a transport brings.

        Args:
            server: A connected transport.
            queues: The queues to serve; ``None``: every queue, which only transports within one
                process can.
            concurrency: How many calls run at once; those that wait for others do not count.
            threads: How many plain functions run at once; ``None``: as many as ``concurrency``
                allows, 32 at most.

        Raises:
            OptionError: A number or a name is out of range, or the codec needs a key.
            UnsupportedError: The codec signs, and the transport carries no signatures.
            NotConnectedError: The transport is not connected.
        """
        if self.server is server:
            return
        names = [ANY_QUEUE]
        if queues is not None:
            names = [check_name("queue", queue) for queue in queues]
        if type(concurrency) is not int or concurrency < 1:
            raise errors.OptionError(f"concurrency={concurrency!r}: give a whole number, 1 or more")
        threads = threads or min(32, concurrency)
        server.check_seal()
        await self.deactivate()
        self.server = server
        self._incoming = self._port(server).incoming = Incoming(
            namespaces.get(self.namespace),
            server,
            self.name,
            concurrency,
            threads,
            self.limits.max_payload_bytes,
            self.tracebacks,
        )
        if not server.copies:
            self._inline.open(self._incoming, threads)
        try:
            for queue in names:
                await server.consume(queue, concurrency)
        except BaseException:
            await self.deactivate(grace=0)
            raise

    async def deactivate(self, grace: float | None = 30.0) -> int:
        """
        Take no more requests, and let those that run end.

        Args:
            grace: Longest wait in seconds; then what runs is cancelled and handed back to the
                queue. ``None`` waits for all.

        Returns:
            How many calls were handed back.
        """
        server, incoming = self.server, self._incoming
        if server is None or incoming is None:
            return 0
        handed_back = 0
        # What ran in a loop that is closed has ended with it; what a parent process runs, goes on.
        is_alive = not incoming.loop.is_closed() and self._port(server).is_here
        if is_alive:
            await server.stop_consuming()
            handed_back = await self._drain(incoming, grace)
        self._inline.close()
        incoming.close()
        self._performed = incoming.performed
        self._port(server).incoming = None
        self.server = self._incoming = None
        if is_alive:
            await server.flush()
        return handed_back

    async def _drain(self, incoming: Incoming, grace: float | None) -> int:
        begun = incoming.loop.time()
        handed_back = await incoming.drain(grace)
        if grace is not None:
            grace = max(0.0, grace - (incoming.loop.time() - begun))
        await self._inline.wait_idle(grace)
        return handed_back

    @property
    def performed(self) -> int:
        """How many calls this worker has ended since it was activated last."""
        return self._performed if self._incoming is None else self._incoming.performed

    @property
    def is_performing(self) -> bool:
        """True if this worker takes requests in the running event loop."""
        incoming = self._incoming
        return incoming is not None and incoming.loop is asyncio.get_running_loop()

    @property
    def running(self) -> int:
        """How many calls this worker holds."""
        return 0 if self._incoming is None else self._incoming.running + self._inline.running

    def __repr__(self) -> str:
        role = "performs" if self._incoming is not None else "calls only"
        return f"<Router of {self.namespace!r}, {role}, {self.pending} calls awaited>"


def get_router(namespace: str = "default") -> Router:
    """Return the router of a namespace, making one with the defaults if there is none."""
    router = namespaces.get(namespace).router
    return router if router is not None else Router(namespace)
