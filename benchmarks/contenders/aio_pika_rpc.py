"""aio-pika's RPC pattern, as its documentation shows it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aio_pika
from aio_pika.patterns import RPC

from ..bodies import BODIES, Calls
from .base import Place, ready


def _calls(rpc: RPC, key: str) -> Calls:
    def caller(name: str) -> Callable[[Any], Awaitable[Any]]:
        async def call(value: Any) -> Any:
            return await rpc.call(name, {"value": value})

        return call

    return {name: caller(f"{key}.{name}") for name in BODIES}


async def _open(place: Place) -> tuple[Any, RPC]:
    connection = await aio_pika.connect_robust(place.url)
    return connection, await RPC.create(await connection.channel())


async def serve(place: Place) -> None:
    """Register each body."""
    _connection, rpc = await _open(place)
    calls = _calls(rpc, place.key)

    async def perform(name: str, *, value: Any) -> Any:
        return await BODIES[name](calls, value)

    for name in BODIES:
        performing = functools.partial(perform, name)
        await rpc.register(f"{place.key}.{name}", performing, auto_delete=True)
    ready()
    await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def connect(place: Place) -> AsyncIterator[Calls]:
    """Yield the registered bodies."""
    connection, rpc = await _open(place)
    yield _calls(rpc, place.key)
    await connection.close()
