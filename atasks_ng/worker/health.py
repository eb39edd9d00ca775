"""An HTTP endpoint that tells an orchestrator how a worker is."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from ..words.errors import OptionError

if TYPE_CHECKING:
    from .serving import Worker

# A probe is a few lines; whoever sends more, or nothing for long, is no probe.
_LIMIT_BYTES = 8192
_PATIENCE = 5.0

_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class Health:
    """
    Answer ``GET /live`` and ``GET /ready`` of one worker.

    ``/live`` is 200 as long as the event loop turns. ``/ready`` is 200 while the worker takes
    calls, and 503 before, while its link is away, and when it stops. Both tell its counts as JSON.

    Args:
        worker: The worker.
        port: Port to listen on, on every interface; 0 takes a free one, on loopback.
    """

    def __init__(self, worker: Worker, port: int) -> None:
        if not 0 <= port < 65536:
            raise OptionError(f"health port {port}: give a number from 0 to 65535")
        self.port = port
        self._worker = worker
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen."""
        # A free port is free for one address family only.
        host = None if self.port else "127.0.0.1"
        self._server = await asyncio.start_server(self._serve, host, self.port, limit=_LIMIT_BYTES)
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
