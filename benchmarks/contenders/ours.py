"""This library over AMQP: with the fast lane, which is the default, or without it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from atasks_ng import connect as connect_to_broker
from atasks_ng import serve as serve_calls
from atasks_ng.router import Router
from benchmarks.tasks import TASKS

from .base import Calls, Place, ready

# As many as the measurements keep in flight; the others have no limit at all.
_CONCURRENCY = 1000


async def serve(place: Place, *, fast: bool = True) -> None:
    """Perform the tasks of the measurements."""
    async with serve_calls(
        place.url, concurrency=_CONCURRENCY, prefix=place.key, fast=fast
    ) as worker:
        ready()
        await worker.wait_closed()


@contextlib.asynccontextmanager
async def connect(
    place: Place, *, fast: bool = True, max_in_flight: int | None = None
) -> AsyncIterator[Calls]:
    """Yield the tasks of the measurements."""
    if max_in_flight is not None:
        Router(max_in_flight=max_in_flight)
    async with connect_to_broker(place.url, prefix=place.key, fast=fast):
        yield TASKS


async def sweep(place: Place) -> None:
    """Delete the queues and exchanges, which are durable."""
    # Late: to import these is a part of connecting, which is measured.
    import aiormq

    from atasks_ng.transport.backends.amqp.settings import Names

    names = Names(f"{place.key}.default")
    connection = await aiormq.connect(place.url)
    channel = await connection.channel()
    for queue in ("default", "default:nested"):
        await channel.queue_delete(names.work(queue))
    await channel.queue_delete(names.dead)
    for exchange in (names.requests, names.replies, names.control, names.dead):
        await channel.exchange_delete(exchange)
    await connection.close()
