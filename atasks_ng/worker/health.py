"""An HTTP endpoint that tells an orchestrator how a worker is."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from ..words.errors import OptionError

if TYPE_CHECKING:
    from .serving import Worker

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None]

# A probe is a few lines; whoever sends more, or nothing for long, is no probe.
_LIMIT_BYTES = 8192
_PATIENCE = 5.0

_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """
    Where a health endpoint listens.

    Attributes:
        port: The port; 0 takes a free one, on loopback.
        host: A name or an address of this machine; ``None``: all its addresses.
    """

    port: int
    host: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise OptionError(f"health port {self.port}: give a number from 0 to 65535")

    @classmethod
    def parse(cls, text: str) -> Address:
        """
        Return the address that ``PORT`` or ``HOST:PORT`` says; an IPv6 address is in brackets.

        Raises:
            OptionError: It is neither.
        """
        host, _, port = text.rpartition(":")
        bare = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host
        if not (port.isascii() and port.isdigit()) or (":" in bare and bare == host):
            raise OptionError(f"health address {text!r}: give PORT, HOST:PORT or [IPv6]:PORT")
        return cls(int(port), bare or None)

    def after(self, count: int) -> Address:
        """Return the address whose port is so many higher."""
        return Address(self.port + count, self.host)

    def __str__(self) -> str:
        if self.host is None:
            return str(self.port)
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


async def refuse_taken(addresses: Iterable[Address]) -> None:
    """
    Look whether health endpoints can listen, and let go of where they can.

    Raises:
        OptionError: One cannot; the sentence says why.
    """
    for address in addresses:
        server = await _listen(address, lambda reader, writer: writer.close())
        server.close()
        await server.wait_closed()


async def _listen(address: Address, serve: Serve) -> asyncio.Server:
    # A free port is free for one address family only.
    host = address.host if address.port else address.host or "127.0.0.1"
    try:
        return await asyncio.start_server(serve, host, address.port, limit=_LIMIT_BYTES)
    except OSError as exc:
        code = exc.errno or 0  # negative where a name has no address
        why = os.strerror(code) if code > 0 else exc.strerror or str(exc)
        raise OptionError(
            f"the health endpoint cannot listen at {address} ({why}): give another port or host, "
            "or stop what listens there"
        ) from exc


class Health:
    """
    Answer ``GET /live`` and ``GET /ready`` of one worker.

    ``/live`` is 200 as long as the event loop turns. ``/ready`` is 200 while the worker takes
    calls, and 503 before, while its link is away, and when it stops. Both tell its counts as JSON.

    Args:
        worker: The worker.
        address: Where to listen.

    Attributes:
        port: The port.
    """

    def __init__(self, worker: Worker, address: Address) -> None:
        self.port = address.port
        self._address = address
        self._worker = worker
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """
        Listen.

        Raises:
            OptionError: That cannot be done there; the sentence says why.
        """
        self._server = await _listen(self._address, self._serve)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # not a probe, or gone
        finally:
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        status = self._status(path) if method in (b"GET", b"HEAD") else 405
        worker = self._worker
        told = {
            "worker": worker.name,
            "state": worker.state,
            "linked": worker.is_linked,
            "running": worker.running,
            "performed": worker.performed,
        }
        body = json.dumps(told).encode()
        lines = [
            f"HTTP/1.1 {status} {_REASONS[status]}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if method == b"HEAD" else body)

    def _status(self, path: bytes) -> int:
        if path == b"/live":
            return 200
        if path == b"/ready":
            return 200 if self._worker.is_ready else 503
        return 404
