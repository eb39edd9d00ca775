"""Connecting a process: the short form of creating a codec, a transport and a router."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from ..codecs import MsgpackCodec
from ..places.namespaces import namespaces
from ..router import Router, get_router
from ..transport import Transport, transport_from_url
from ..transport.urls import default_url, mask
from ..words import errors


class Connection:
    """
    The connection of one namespace to where its calls go. Made by :func:`connect`.

    Attributes:
        namespace: The namespace it connects.
        url: Where to, the password masked.
    """

    def __init__(self, url: str | None, namespace: str, options: dict[str, Any]) -> None:
        self._url = url or default_url()
        self._options = options
        self._transport: Transport | None = None
        self.namespace = namespace
        self.url = mask(self._url)

    @property
    def router(self) -> Router:
        """The router of the namespace."""
        return get_router(self.namespace)

    async def open(self) -> Connection:
        """Connect; nothing happens if it is open already."""
        if self._transport is not None:
            return self
        place = namespaces.get(self.namespace)
        if place.codec is None:
            MsgpackCodec(namespace=self.namespace)
        before = place.transport
        transport = transport_from_url(self._url, self.namespace, **self._options)
        try:
            await transport.connect()
            if self._url.startswith("loopback:"):
                # Nobody else can perform what is called here.
                await self.router.activate(transport)
        except BaseException:
            await transport.disconnect()
            place.transport = before
            raise
        self._transport = transport
        return self

    async def close(self) -> None:
        """Disconnect; calls that are still awaited end with ``ConnectionLostError``."""
        transport, self._transport = self._transport, None
        if transport is None:
            return
        if self.router.server is transport:
            await self.router.deactivate(grace=0)
        self.router.end_calls(
            errors.ConnectionLostError(f"the connection to {self.url} was closed by this process")
        )
        await transport.disconnect()
        place = namespaces.get(self.namespace)
        if place.transport is transport:
            place.transport = None

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
        url: ``loopback://`` (this process performs its calls itself), ``amqp://…`` or
            ``amqps://…``; by default ``$ATASKS_NG_URL``, and without it ``loopback://``.
        namespace: The namespace to connect. It gets a ``MsgpackCodec`` if it has no codec.
        options: Further options of the transport.

    Raises:
        BadURLError, OptionError: When it is entered: the URL or an option cannot be used.
        ConnectionLostError: When it is entered: nobody answers there.
    """
    return Connection(url, namespace, options)
