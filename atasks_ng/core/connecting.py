"""Connecting a process: the short form of creating a codec, a transport and a router."""

from __future__ import annotations

import dataclasses
from types import TracebackType
from typing import Any

from ..codecs import MsgpackCodec
from ..places.namespaces import namespaces
from ..router import DEFAULT_CONCURRENCY, Router, get_router
from ..transport import Transport, transport_from_url
from ..transport.urls import default_url, mask
from ..words import errors
from ..words.options import check_name, check_tracebacks


@dataclasses.dataclass(frozen=True, slots=True)
class Serving:
    """
    How a process performs the calls of a namespace.

    Attributes:
        queues: The queues it serves; ``None``: every queue of its own process.
        concurrency: How many calls run at once; those that wait for others do not count.
        threads: How many plain functions run at once; ``None``: as many as ``concurrency``
            allows, 32 at most.
        name: Name of the worker in logs and tracebacks; ``None`` leaves the router's.
        tracebacks: What callers are told of where an exception was raised: ``"full"``,
            ``"names"`` or ``"off"``; ``None`` leaves the router's.
    """

    queues: tuple[str, ...] | None = ("default",)
    concurrency: int = DEFAULT_CONCURRENCY
    threads: int | None = None
    name: str | None = None
    tracebacks: str | None = None

    def __post_init__(self) -> None:
        for queue in self.queues or ():
            check_name("queue", queue)
        if self.queues == ():
            raise errors.OptionError("queues=() is empty: name at least one queue to serve")
        _check_count("concurrency", self.concurrency)
        if self.threads is not None:
            _check_count("threads", self.threads)
        if self.tracebacks is not None:
            check_tracebacks(self.tracebacks)


class Connection:
    """
    The connection of one namespace to where its calls go. Made by :func:`connect`.

    Attributes:
        namespace: The namespace it connects.
        url: Where to, the password masked.
    """

    def __init__(
        self,
        url: str | None,
        namespace: str,
        options: dict[str, Any],
        serving: Serving | None = None,
    ) -> None:
        self._url = url or default_url()
        self._options = options
        self._serving = serving
        self._transport: Transport | None = None
        self._before: Transport | None = None
        self._performed = 0
        self.namespace = check_name("namespace", namespace)
        self.url = mask(self._url)

    @property
    def router(self) -> Router:
        """The router of the namespace."""
        return get_router(self.namespace)

    @property
    def is_linked(self) -> bool:
        """True while it is open and its link is there."""
        return self._transport is not None and self._transport.is_linked

    @property
    def running(self) -> int:
        """How many calls this process holds, as a worker, for this connection."""
        return self.router.running if self._performs else 0

    @property
    def performed(self) -> int:
        """How many calls this process has ended, as a worker, for this connection."""
        return self.router.performed if self._performs else self._performed

    @property
    def _performs(self) -> bool:
        return self._transport is not None and self.router.server is self._transport

    # -- opening -------------------------------------------------------------------------------

    async def open(self) -> Connection:
        """Connect; nothing happens if it is open already."""
        if self._transport is not None:
            return self
        serving = self._serving_now()
        place = namespaces.get(self.namespace)
        if place.codec is None:
            MsgpackCodec(namespace=self.namespace)
        self._before = place.transport
        transport = transport_from_url(self._url, self.namespace, **self._options)
        # Before anything is awaited: calls may run before all queues are served, and they count.
        self._transport = transport
        try:
            await transport.connect()
            if serving is not None:
                await self._activate(transport, serving)
        except BaseException:
            await self.close()
            raise
        return self

    def _serving_now(self) -> Serving | None:
        """Return how to perform, or ``None`` if this connection only calls."""
        if self._serving is not None:
            self._refuse_second_worker()
            return self._serving
        if not self._is_loopback or self.router.is_performing:
            return None
        # Nobody else can perform what is called here, whatever queue it is sent to.
        return Serving(queues=None)

    def _refuse_second_worker(self) -> None:
        server = self.router.server
        if not self.router.is_performing or getattr(server, "url", "").startswith("loopback:"):
            return  # on loopback, whoever connects performs until somebody serves
        raise errors.UsageError(
            f"this process serves namespace {self.namespace!r} already: close that worker first, "
            "or give the second one another namespace"
        )

    @property
    def _is_loopback(self) -> bool:
        return self._url.startswith("loopback:")

    async def _activate(self, transport: Transport, serving: Serving) -> None:
        router = self.router
        if serving.name is not None:
            router.name = serving.name
        if serving.tracebacks is not None:
            router.tracebacks = serving.tracebacks
        await router.activate(
            transport,
            queues=serving.queues,
            concurrency=serving.concurrency,
            threads=serving.threads,
        )

    # -- closing -------------------------------------------------------------------------------

    async def drain(self, grace: float | None) -> int:
        """
        Perform no more calls, and let those that run end; calling goes on.

        Args:
            grace: Longest wait in seconds; then what runs is cancelled and handed back to the
                queue. ``None`` waits for all.

        Returns:
            How many calls were handed back.
        """
        if not self._performs:
            return 0
        handed_back = await self.router.deactivate(grace)
        self._performed = self.router.performed
        return handed_back

    async def close(self) -> None:
        """
        Disconnect at once.

        Calls that are still awaited end with ``ConnectionLostError``; those that still run here
        are cancelled and handed back.
        """
        await self.drain(grace=0)
        transport, self._transport = self._transport, None
        if transport is not None:
            await self._let_go(transport)

    async def _let_go(self, transport: Transport) -> None:
        lost = f"the connection to {self.url} was closed by this process"
        self.router.end_calls(transport, errors.ConnectionLostError(lost))
        await transport.disconnect()
        place = namespaces.get(self.namespace)
        if place.transport is transport:
            # An outer connect() of the same namespace goes on.
            place.transport = self._before
        self._before = None

    async def __aenter__(self) -> Connection:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        state = "closed" if self._transport is None else "open"
        return f"<Connection of {self.namespace!r} to {self.url}, {state}>"


def connect(url: str | None = None, *, namespace: str = "default", **options: Any) -> Connection:
    """
    Let this process call the tasks of a namespace, inside ``async with connect(url):``.

    Args:
        url: ``loopback://`` (this process performs its calls itself; with ``?copy=0`` it awaits
            the very functions, for tests that need no encoding), ``amqp://…`` or
            ``amqps://…``, also several with commas between, of one cluster; by default
            ``$ATASKS_NG_URL``, and without it ``loopback://``.
        namespace: The namespace to connect. It gets a ``MsgpackCodec`` if it has no codec.
        options: Further options of the transport.

    Raises:
        BadURLError, OptionError: When it is entered: the URL or an option cannot be used, or the
            codec of the namespace needs a key.
        ConnectionLostError: When it is entered: nobody answers there, or, more exactly,
            ``AccessDeniedError`` or ``TLSError``.
    """
    return Connection(url, namespace, options)


def _check_count(what: str, value: object) -> None:
    if type(value) is not int or value < 1:
        raise errors.OptionError(f"{what}={value!r}: give a whole number, 1 or more")
