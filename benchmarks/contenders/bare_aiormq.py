"""Bare aiormq: request and reply, and nothing else. No acknowledgements, no codec but bytes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
from collections.abc import AsyncIterator
from typing import Any

import aiormq

from ..bodies import BODIES, Calls
from . import plain_bytes
from .base import Place, ready


class _Caller:
    """Publishes requests, and ends the future of each with the body of its reply."""

    def __init__(self, channel: aiormq.abc.AbstractChannel, key: str) -> None:
        self._channel = channel
        self._key = key
        self._queue = ""
        self._waiting: dict[str, asyncio.Future[bytes]] = {}
        self._ids = map(str, itertools.count())

    async def open(self) -> Calls:
        declared = await self._channel.queue_declare("", exclusive=True)
        assert declared.queue is not None
        self._queue = declared.queue
        await self._channel.basic_consume(self._queue, self._take, no_ack=True)
        return {name: functools.partial(self._call, f"{self._key}.{name}") for name in BODIES}

    async def _take(self, message: Any) -> None:
        self._waiting.pop(message.header.properties.correlation_id).set_result(message.body)

    async def _call(self, queue: str, value: Any) -> Any:
        id = next(self._ids)
        future = self._waiting[id] = asyncio.get_running_loop().create_future()
        properties = aiormq.spec.Basic.Properties(correlation_id=id, reply_to=self._queue)
        body = plain_bytes.encode(value)
        await self._channel.basic_publish(body, routing_key=queue, properties=properties)
        return plain_bytes.decode(await future)


async def _open_channel(place: Place) -> tuple[Any, aiormq.abc.AbstractChannel]:
    connection = await aiormq.connect(place.url)
    return connection, await connection.channel(publisher_confirms=False)


async def serve(place: Place) -> None:
    """Answer what comes to the queue of each body."""
    _connection, channel = await _open_channel(place)
    calls = await _Caller(channel, place.key).open()

    async def answer(name: str, message: Any) -> None:
        properties = message.header.properties
        value = await BODIES[name](calls, plain_bytes.decode(message.body))
        await channel.basic_publish(
            plain_bytes.encode(value),
            routing_key=properties.reply_to,
            properties=aiormq.spec.Basic.Properties(correlation_id=properties.correlation_id),
        )

    for name in BODIES:
        queue = f"{place.key}.{name}"
        await channel.queue_declare(queue, auto_delete=True)
        await channel.basic_consume(queue, functools.partial(answer, name), no_ack=True)
    ready()
    await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def connect(place: Place) -> AsyncIterator[Calls]:
    """Yield how to publish a request and await its reply."""
    connection, channel = await _open_channel(place)
    yield await _Caller(channel, place.key).open()
    await connection.close()
