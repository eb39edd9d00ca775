"""grpc.aio, directly from process to process: there is no broker between."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from ..bodies import BODIES, Calls
from . import plain_bytes
from .base import Place, ready

# The default refuses messages of 4 MiB and more.
_OPTIONS = [("grpc.max_receive_message_length", -1)]

# By default a server cancels some calls at random when more than 1000 have not been begun.
_SERVER_OPTIONS = [
    *_OPTIONS,
    ("grpc.server.max_pending_requests", 1_000_000),
    ("grpc.server.max_pending_requests_hard_limit", 1_000_000),
]


def _calls(channel: grpc.aio.Channel) -> Calls:
    def caller(name: str) -> Callable[[Any], Awaitable[Any]]:
        remote = channel.unary_unary(f"/benchmark/{name}")

        async def call(value: Any) -> Any:
            return plain_bytes.decode(await remote(plain_bytes.encode(value)))

        return call

    return {name: caller(name) for name in BODIES}


def _channel(place: Place) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{place.port}", options=_OPTIONS)


async def serve(place: Place) -> None:
    """Serve each body as a method; bodies call each other by the port, too."""
    calls = _calls(_channel(place))

    async def perform(name: str, request: bytes, context: Any) -> bytes:
        return plain_bytes.encode(await BODIES[name](calls, plain_bytes.decode(request)))

    methods = {
        name: grpc.unary_unary_rpc_method_handler(functools.partial(perform, name))
        for name in BODIES
    }
    server = grpc.aio.server(options=_SERVER_OPTIONS)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("benchmark", methods),))
    server.add_insecure_port(f"127.0.0.1:{place.port}")
    await server.start()
    ready()
    await server.wait_for_termination()


@contextlib.asynccontextmanager
async def connect(place: Place) -> AsyncIterator[Calls]:
    """Yield the methods."""
    async with _channel(place) as channel:
        yield _calls(channel)
