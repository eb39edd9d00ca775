"""Those that are compared: this library, and others that carry a call to another process."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib.util
import itertools
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

Call = Callable[[Any], Awaitable[Any]]


@dataclasses.dataclass(frozen=True)
class Contender:
    """
    One way to carry a call.

    Attributes:
        name: What it is called in tables.
        needs: Module that it needs, or ``None``.
        serve: Performs calls in a process of its own: prints ``ready`` and goes on for ever.
        connect: Yields a function that makes one call, given the URL and a port of the worker's.
    """

    name: str
    needs: str | None
    serve: Callable[[str, int], Awaitable[None]]
    connect: Callable[[str, int], contextlib.AbstractAsyncContextManager[Call]]

    @property
    def is_installed(self) -> bool:
        """True if what it needs can be imported."""
        return self.needs is None or importlib.util.find_spec(self.needs) is not None


@contextlib.contextmanager
def worker(contender: Contender, url: str) -> Iterator[tuple[int, int]]:
    """Yield process id and port of a worker of a contender."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.contenders", contender.name, url, str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"the worker of {contender.name} did not get ready")
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def _ready() -> None:
    print("ready", flush=True)


# -- this library ------------------------------------------------------------------------------


async def _serve_ours(url: str, port: int, **options: Any) -> None:
    from atasks_ng import serve

    from . import tasks  # noqa: F401  # registers the tasks

    async with serve(url, concurrency=1000, **options) as ours:
        _ready()
        await ours.wait_closed()


@contextlib.asynccontextmanager
async def _connect_ours(url: str, port: int, **options: Any) -> AsyncIterator[Call]:
    from atasks_ng import connect

    from .tasks import echo

    async with connect(url, **options):
        yield echo


async def _serve_plain(url: str, port: int) -> None:
    await _serve_ours(url, port, fast=False)


def _connect_plain(url: str, port: int) -> contextlib.AbstractAsyncContextManager[Call]:
    return _connect_ours(url, port, fast=False)


# -- bare aiormq: request and reply, nothing else ----------------------------------------------


async def _serve_aiormq(url: str, port: int) -> None:
    import aiormq

    connection = await aiormq.connect(url)
    channel = await connection.channel(publisher_confirms=False)
    await channel.queue_declare("benchmark.aiormq", auto_delete=True)

    async def answer(message: Any) -> None:
        properties = message.header.properties
        await channel.basic_publish(
            message.body,
            routing_key=properties.reply_to,
            properties=aiormq.spec.Basic.Properties(correlation_id=properties.correlation_id),
        )

    await channel.basic_consume("benchmark.aiormq", answer, no_ack=True)
    _ready()
    await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def _connect_aiormq(url: str, port: int) -> AsyncIterator[Call]:
    import aiormq

    connection = await aiormq.connect(url)
    channel = await connection.channel(publisher_confirms=False)
    queue = (await channel.queue_declare("", exclusive=True)).queue
    waiting: dict[str, asyncio.Future[bytes]] = {}
    ids = map(str, itertools.count())

    async def take(message: Any) -> None:
        waiting.pop(message.header.properties.correlation_id).set_result(message.body)

    await channel.basic_consume(queue, take, no_ack=True)

    async def call(value: Any) -> Any:
        id = next(ids)
        future = waiting[id] = asyncio.get_running_loop().create_future()
        properties = aiormq.spec.Basic.Properties(correlation_id=id, reply_to=queue)
        body = value if isinstance(value, bytes) else str(value).encode()
        await channel.basic_publish(body, routing_key="benchmark.aiormq", properties=properties)
        await future
        return value

    yield call
    await connection.close()


# -- aio-pika's RPC pattern --------------------------------------------------------------------


async def _serve_aio_pika(url: str, port: int) -> None:
    import aio_pika
    from aio_pika.patterns import RPC

    connection = await aio_pika.connect_robust(url)
    channel = await connection.channel()
    rpc = await RPC.create(channel)

    async def echo(*, value: Any) -> Any:
        return value

    await rpc.register("benchmark_echo", echo, auto_delete=True)
    _ready()
    await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def _connect_aio_pika(url: str, port: int) -> AsyncIterator[Call]:
    import aio_pika
    from aio_pika.patterns import RPC

    connection = await aio_pika.connect_robust(url)
    channel = await connection.channel()
    rpc = await RPC.create(channel)

    async def call(value: Any) -> Any:
        return await rpc.proxy.benchmark_echo(value=value)

    yield call
    await connection.close()


# -- grpc.aio, directly from process to process, no broker between -----------------------------


async def _serve_grpc(url: str, port: int) -> None:
    import grpc

    async def echo(request: bytes, context: Any) -> bytes:
        return request

    handler = grpc.method_handlers_generic_handler(
        "benchmark", {"echo": grpc.unary_unary_rpc_method_handler(echo)}
    )
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    _ready()
    await server.wait_for_termination()


@contextlib.asynccontextmanager
async def _connect_grpc(url: str, port: int) -> AsyncIterator[Call]:
    import grpc

    options = [("grpc.max_receive_message_length", -1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        echo = channel.unary_unary("/benchmark/echo")

        async def call(value: Any) -> Any:
            await echo(value if isinstance(value, bytes) else str(value).encode())
            return value

        yield call


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("aiormq", None, _serve_aiormq, _connect_aiormq),
        Contender("atasks_ng", None, _serve_ours, _connect_ours),
        Contender("atasks_ng-plain", None, _serve_plain, _connect_plain),
        Contender("aio-pika-rpc", "aio_pika", _serve_aio_pika, _connect_aio_pika),
        Contender("grpc.aio", "grpc", _serve_grpc, _connect_grpc),
    )
}


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(CONTENDERS[sys.argv[1]].serve(sys.argv[2], int(sys.argv[3])))  # type: ignore[arg-type]
