"""How a worker process and its supervisor know of each other: a pair of sockets, one end each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

#: The environment variable that tells a worker process which file descriptor is its end.
VARIABLE = "ATASKS_NG_LIFELINE_FD"

_READY = b"ready\n"


class Lifeline:
    """
    One end of the pair; it says so when the process at the other end is gone, however it went.

    Args:
        end: The socket.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end

    @classmethod
    def from_environment(cls) -> Lifeline | None:
        """
        Return the end that this process was started with, or ``None``; ask once only.

        Processes that are started from here neither inherit it nor hear of it.
        """
        number = os.environ.pop(VARIABLE, None)
        if number is None:
            return None
        os.set_inheritable(int(number), False)
        return cls(socket.socket(fileno=int(number)))

    def tell_ready(self) -> None:
        """Tell the supervisor that this worker performs calls."""
        # Where it is gone, wait_lost() says so.
        with contextlib.suppress(OSError):
            self._socket.send(_READY)

    async def wait_ready(self) -> bool:
        """Return True when the worker process says that it is ready, False if it goes before."""
        return await self._read() == _READY

    async def wait_lost(self) -> None:
        """Return when the process at the other end is gone."""
        while await self._read():
            pass

    def close(self) -> None:
        """Let go of this end."""
        self._socket.close()

    async def _read(self) -> bytes:
        try:
            return await asyncio.get_running_loop().sock_recv(self._socket, len(_READY))
        except OSError:
            return b""
