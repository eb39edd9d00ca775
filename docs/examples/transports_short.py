"""A transport of one's own, the short way: a TCP connection for each call."""

import asyncio
from urllib.parse import urlsplit

from atasks_ng import atask, serve
from atasks_ng.transport import Transport, register_scheme
from atasks_ng.transport.base import Callback


class TCPTransport(Transport):
    def __init__(self, namespace: str = "default", url: str = "tcp://127.0.0.1:0") -> None:
        super().__init__(namespace)
        self.host, self.port = urlsplit(url).hostname, urlsplit(url).port
        self._server: asyncio.Server | None = None

    # -- the three methods that every transport defines

    async def connect(self) -> None:
        """Each call makes a connection of its own."""

    async def disconnect(self) -> None:
        await self.unregister_callback()

    async def send_request(self, name: str, content: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            write(writer, name.encode(), content)
            return await read(reader)
        finally:
            # When the call is cancelled, too: that is how the other side hears of it.
            writer.close()

    # -- the side that performs

    async def register_callback(self, callback: Callback) -> None:
        await super().register_callback(callback)
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def unregister_callback(self) -> None:
        await super().unregister_callback()
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name, content = await read(reader), await read(reader)
        performing = asyncio.ensure_future(self.callback(name.decode(), content))
        gone = asyncio.ensure_future(reader.read(1))
        await asyncio.wait([performing, gone], return_when=asyncio.FIRST_COMPLETED)
        if not performing.done():
            performing.cancel()
        write(writer, await performing)
        gone.cancel()
        writer.close()


def write(writer: asyncio.StreamWriter, *parts: bytes) -> None:
    for part in parts:
        writer.write(len(part).to_bytes(4, "big") + part)


async def read(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))


@atask
async def fibonacci(n: int) -> int:
    if n < 2:
        return n
    return sum(await asyncio.gather(fibonacci(n - 1), fibonacci(n - 2)))


register_scheme("tcp", TCPTransport)


async def main() -> None:
    async with serve("tcp://127.0.0.1:0") as worker:
        print("over TCP:", await fibonacci(6), "after", worker.performed, "calls")


if __name__ == "__main__":
    asyncio.run(main())
