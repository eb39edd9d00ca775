"""
The frames of this library without its calls: what is left for the broker, the system and two loops.

As bare aiormq does, it sends bytes there and back and knows no codec, no errors, no cancel and no
repetition; but each request is acknowledged. What atasks_ng costs beyond this is the call itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import os
from collections.abc import AsyncIterator
from typing import Any

from atasks_ng.transport.backends.amqp.lane import Lane
from atasks_ng.transport.backends.amqp.links import Link
from atasks_ng.transport.backends.amqp.parcels import Delivered, Parcel, Returned, part
from atasks_ng.transport.backends.amqp.settings import Settings

from ..bodies import BODIES, Calls
from . import plain_bytes
from .base import Place, ready

_PREFETCH = 1000
_SLACK = 50

# In front of each answer, since several may share a message: the number of its call.
_NUMBER_BYTES = 8


class _Caller:
    """Publishes requests, and ends the future of each with the body of its answer."""

    def __init__(self, out: Lane, inbox: Lane, key: str, address: str) -> None:
        self._out = out
        self._inbox = inbox
        self._key = key
        self._address = address
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._numbers = itertools.count()

    async def open(self) -> Calls:
        await self._inbox.channel.queue_declare(self._address, arguments={"x-expires": 60_000})
        await self._inbox.channel.basic_qos(prefetch_count=5 * _PREFETCH)
        await self._inbox.listen(self._address, "answers", self._take)
        return {name: functools.partial(self._call, f"{self._key}.{name}") for name in BODIES}

    def _take(self, body: bytes) -> None:
        for each in part(body):
            number = int.from_bytes(each[:_NUMBER_BYTES], "big")
            self._waiting.pop(number).set_result(each[_NUMBER_BYTES:])

    async def _call(self, queue: str, value: Any) -> Any:
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        body = plain_bytes.encode(value)
        self._out.publish(Parcel("", queue, body, f"{number:032x}", self._address, mandatory=True))
        return plain_bytes.decode(await future)


async def _open(url: str) -> tuple[list[Link], Lane, Lane, Lane]:
    settings = Settings(url)
    links = [Link(settings, role) for role in ("publishes", "consumes")]
    for link in links:
        await link.open()
    out = await links[0].lane(_on_returned, publishes=True)
    inbox = await links[1].lane(_on_returned, publishes=False)
    work = await links[1].lane(_on_returned, publishes=True)
    return links, out, inbox, work


def _on_returned(returned: Returned) -> None:
    raise RuntimeError(f"nobody takes from {returned.key}")


async def serve(place: Place) -> None:
    """Answer what comes to the queue of each body."""
    _links, out, inbox, work = await _open(place.url)
    calls = await _Caller(out, inbox, place.key, f"{place.key}.worker").open()
    running: set[asyncio.Task[None]] = set()

    async def perform(name: str, delivered: Delivered) -> None:
        assert delivered.id is not None
        assert delivered.reply_to is not None
        value = await BODIES[name](calls, plain_bytes.decode(delivered.body))
        number = int(delivered.id, 16).to_bytes(_NUMBER_BYTES, "big")
        body = number + plain_bytes.encode(value)
        work.answer(delivered.tag, Parcel("", delivered.reply_to, body, delivered.id, joins=True))

    def take(name: str, delivered: Delivered) -> None:
        task = asyncio.create_task(perform(name, delivered))
        running.add(task)
        task.add_done_callback(running.discard)

    work.set_slack(_SLACK)
    await work.channel.basic_qos(prefetch_count=_PREFETCH)
    for name in BODIES:
        queue = f"{place.key}.{name}"
        await work.channel.queue_declare(queue, arguments={"x-expires": 60_000})
        await work.consume(queue, name, functools.partial(take, name))
    ready()
    await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def connect(place: Place) -> AsyncIterator[Calls]:
    """Yield how to publish a request and await its answer."""
    links, out, inbox, _work = await _open(place.url)
    # Of this process alone: answers to one that went before it are not for this one.
    yield await _Caller(out, inbox, place.key, f"{place.key}.caller.{os.getpid()}").open()
    for link in links:
        await link.close()
