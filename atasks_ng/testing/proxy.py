"""A TCP proxy that cuts, freezes, slows and drops: for tests of what a network does."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType

_CHUNK = 65536

#: Looks at the bytes that pass, and may call methods of the proxy: ``(to_server, data)``.
Watcher = Callable[[bool, bytes], None]

#: Returns what is passed on of a piece that one connection brought: ``(to_server, data)``.
Filter = Callable[[bool, bytes], bytes]

# Linger, for no time: what closes such a socket is a reset.
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """
    Stand between clients and a server on the loopback interface.

    It runs in a thread of its own, so that it works while the loop under test is blocked. Its
    methods may be called from any thread; they take effect before they return.

    Args:
        host: Host of the server.
        port: Port of the server.
        watcher: Called in the proxy's thread with everything that passes, before it is passed on.
        make_filter: Called for each connection, in the proxy's thread; returns the function that
            decides, piece by piece, what is passed on: all of it, a part, or ``b""``.

    Attributes:
        port: Where clients connect, once it is started.
        accepted: How many connections there have been, those that were refused among them.
    """

    def __init__(
        self,
        host: str,
        port: int,
        watcher: Watcher | None = None,
        *,
        make_filter: Callable[[], Filter] | None = None,
    ) -> None:
        self.port = 0
        self.accepted = 0
        self._server = (host, port)
        self._watcher = watcher
        self._make_filter = make_filter
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pairs: set[_Pair] = set()
        self._refusing = False
        self._delay = 0.0
        self._flowing: dict[bool, asyncio.Event] = {}
        self._dropping = {True: False, False: False}

    # -- running -------------------------------------------------------------------------------

    def start(self) -> Proxy:
        """Listen on a free port."""
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise TimeoutError("the proxy did not start")
        return self

    def stop(self) -> None:
        """Cut everything and stop listening."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(10)
            self._loop = self._thread = None

    def __enter__(self) -> Proxy:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self, ready: threading.Event) -> None:
        asyncio.run(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._flowing = {True: asyncio.Event(), False: asyncio.Event()}
        for event in self._flowing.values():
            event.set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stopping.wait()
        server.close()
        for pair in list(self._pairs):
            pair.cut(reset=False)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    # -- faults --------------------------------------------------------------------------------

    def cut(self, *, reset: bool = False) -> int:
        """End all connections, by FIN or, with ``reset``, by RST; return how many there were."""

        def do() -> int:
            pairs = list(self._pairs)
            for pair in pairs:
                pair.cut(reset=reset)
            return len(pairs)

        return self._call(do)

    def refuse(self, refusing: bool = True) -> None:
        """End new connections at once, or take them again."""
        self._call(lambda: setattr(self, "_refusing", refusing))

    def freeze(self, *, to_server: bool = True, to_client: bool = True) -> None:
        """Hold what passes in these directions; the connections stay, as if half open."""
        self._call(lambda: self._set_flow(to_server, to_client, flowing=False))

    def thaw(self) -> None:
        """Let everything pass again, what was held first."""
        self._call(lambda: self._set_flow(True, True, flowing=True))

    def drop(self, *, to_server: bool = False, to_client: bool = False) -> None:
        """Throw away what passes in these directions from now on; call without to end it."""
        self._call(lambda: self._dropping.update({True: to_server, False: to_client}))

    def delay(self, seconds: float) -> None:
        """Hold each piece for a while before it is passed on."""
        self._call(lambda: setattr(self, "_delay", seconds))

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._pairs)

    def _set_flow(self, to_server: bool, to_client: bool, *, flowing: bool) -> None:
        for direction, chosen in ((True, to_server), (False, to_client)):
            if chosen:
                event = self._flowing[direction]
                event.set() if flowing else event.clear()

    def _call(self, function: Callable[[], object]) -> int:
        loop = self._loop
        if loop is None:
            raise RuntimeError("the proxy is not running")
        if threading.current_thread() is self._thread:
            return int(bool(function()))
        done = threading.Event()
        result: list[object] = []

        def do() -> None:
            result.append(function())
            done.set()

        loop.call_soon_threadsafe(do)
        if not done.wait(10):
            raise TimeoutError("the proxy does not answer")
        return result[0] if isinstance(result[0], int) else 0

    # -- passing on ----------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._refusing:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._server)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(writer, server_writer)
        self._pairs.add(pair)
        passing = _all if self._make_filter is None else self._make_filter()
        ways = [
            asyncio.create_task(self._pass_on(reader, server_writer, passing, to_server=True)),
            asyncio.create_task(self._pass_on(server_reader, writer, passing, to_server=False)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._pairs.discard(pair)
            pair.cut(reset=False)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        passing: Filter,
        *,
        to_server: bool,
    ) -> None:
        try:
            while data := await reader.read(_CHUNK):
                if self._watcher is not None:
                    self._watcher(to_server, data)
                if self._delay:
                    await asyncio.sleep(self._delay)
                await self._flowing[to_server].wait()
                if self._dropping[to_server] or not (data := passing(to_server, data)):
                    continue
                writer.write(data)
                await writer.drain()
        except (ConnectionError, OSError):
            return


class _Pair:
    """The two ends of one connection."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._ends = (client, server)

    def cut(self, *, reset: bool) -> None:
        for end in self._ends:
            if reset:
                raw: socket.socket | None = end.get_extra_info("socket")
                if raw is not None and not end.is_closing():
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.transport.abort()
            else:
                end.close()


def _all(to_server: bool, data: bytes) -> bytes:
    return data
