"""
The plain lane: every message goes through aiormq, and is confirmed.

Slower than the fast one by a factor of ten, and without a line of its own about the protocol: for
comparison, and for whoever suspects the other. Nothing here waits in the caller: what is asked for
is queued, and one task for each direction carries it out.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Awaitable

import aiormq
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError, DeliveryError, PublishError

from ..parcels import CONTENT_TYPE, Acks, Delivered, Parcel, Returned
from .base import (
    PROBE_EXCHANGE,
    RETRY_AFTER,
    UNCONFIRMED,
    Lane,
    OnBody,
    OnDelivered,
    OnReturned,
)
from .patience import is_answered
from .wire import Wire

logger = logging.getLogger("atasks_ng.amqp")

# Publishes that wait for the broker's confirmation at once; more would only wait in aiormq.
_MAX_UNCONFIRMED = 1000

_ENDINGS = (AMQPError, ConnectionError, TimeoutError, RuntimeError)


class PlainLane(Lane):
    """
    The data path of one channel, through aiormq.

    Args:
        channel: The channel, with confirmations: without them aiormq loses what comes back.
        wire: The socket of its connection, which aiormq alone writes to.
        on_returned: Called with each message that came back.
        timeout: Longest wait in seconds for a confirmation.
    """

    def __init__(
        self, channel: Channel, wire: Wire, on_returned: OnReturned, timeout: float
    ) -> None:
        super().__init__(channel, on_returned)
        self._wire = wire
        self._timeout = timeout
        # With the delivery that each answers.
        self._parcels: deque[tuple[Parcel, int | None]] = deque()
        self._unconfirmed: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(_MAX_UNCONFIRMED)
        self._ids = itertools.count(1)
        self._acks = Acks()
        self._requeues: list[int] = []
        self._to_publish = asyncio.Event()
        self._to_settle = asyncio.Event()
        self._is_settled = asyncio.Event()
        self._is_settled.set()
        self._is_open = True
        self._tasks = [
            asyncio.create_task(self._keep_publishing()),
            asyncio.create_task(self._keep_settling()),
        ]

    @property
    def is_writable(self) -> bool:
        return not self.is_blocked and len(self._parcels) < _MAX_UNCONFIRMED

    @property
    def is_blocked(self) -> bool:
        return self._wire.is_blocked

    # -- sending -------------------------------------------------------------------------------

    def publish(self, parcel: Parcel) -> None:
        self._publish_for(None, parcel)

    def answer(self, tag: int, parcel: Parcel) -> None:
        self._publish_for(tag, parcel)

    def _publish_for(self, tag: int | None, parcel: Parcel) -> None:
        if self._is_open:
            self._parcels.append((parcel, tag))
            self._to_publish.set()

    async def _keep_publishing(self) -> None:
        while True:
            while self._parcels:
                await self._room.acquire()
                task = asyncio.create_task(self._publish(*self._parcels.popleft()))
                self._unconfirmed.add(task)
                task.add_done_callback(self._published)
            self._to_publish.clear()
            await self._to_publish.wait()

    def _published(self, task: asyncio.Task[None]) -> None:
        self._unconfirmed.discard(task)
        self._room.release()
        if not task.cancelled() and task.exception() is not None:
            logger.error("publishing failed", exc_info=task.exception())

    async def _publish(self, parcel: Parcel, tag: int | None) -> None:
        try:
            await self._confirmed(parcel)
        except PublishError:
            self._on_returned(Returned(parcel.exchange, parcel.key, parcel.id, bytes(parcel.body)))
        except DeliveryError:
            # The queue has failed for the moment. Nobody else would send this again.
            loop = asyncio.get_running_loop()
            loop.call_later(RETRY_AFTER, self._publish_for, tag, parcel)
            return
        except _ENDINGS:
            return  # the session is being lost; what matters is sent again on the next one
        if tag is not None:
            self.ack(tag)

    async def _confirmed(self, parcel: Parcel) -> None:
        publishing = asyncio.ensure_future(
            self.channel.basic_publish(
                bytes(parcel.body),
                exchange=parcel.exchange,
                routing_key=parcel.key,
                properties=self._properties(parcel),
                mandatory=parcel.mandatory,
                wait=False,
            )
        )
        try:
            if not await is_answered(publishing, self._timeout, lambda: self.is_blocked):
                self._wire.fail(UNCONFIRMED.format(self._timeout))
            await publishing
        finally:
            publishing.cancel()

    def _properties(self, parcel: Parcel) -> aiormq.spec.Basic.Properties:
        return aiormq.spec.Basic.Properties(
            content_type=CONTENT_TYPE,
            correlation_id=parcel.id or None,
            reply_to=parcel.reply_to,
            expiration=None if parcel.ttl_ms is None else str(parcel.ttl_ms),
            # aiormq finds a returned message by this; a resent call has the same correlation id.
            message_id=str(next(self._ids)),
            delivery_mode=2 if parcel.persistent else 1,
            headers=parcel.headers,
        )

    # -- settling ------------------------------------------------------------------------------

    def ack(self, tag: int) -> None:
        self._acks.settle(tag)
        self._stir()

    def requeue(self, tag: int) -> None:
        self._acks.skip(tag)
        self._requeues.append(tag)
        self._stir()

    def _stir(self) -> None:
        self._is_settled.clear()
        self._to_settle.set()

    async def _keep_settling(self) -> None:
        try:
            while True:
                await self._to_settle.wait()
                self._to_settle.clear()
                for frame in self._frames():
                    await frame
                if not self._to_settle.is_set():
                    self._is_settled.set()
        except _ENDINGS as exc:
            logger.debug("acknowledging ended: %r", exc)

    def _frames(self) -> list[Awaitable[None]]:
        requeues, self._requeues = self._requeues, []
        channel = self.channel
        # First: an acknowledgement of many must not cover what goes back.
        frames: list[Awaitable[None]]
        frames = [channel.basic_nack(tag, requeue=True, wait=False) for tag in requeues]
        frames += [channel.basic_ack(tag, many, wait=False) for tag, many in self._acks.take()]
        return frames

    # -- consuming -----------------------------------------------------------------------------

    async def consume(self, queue: str, consumer: str, take: OnDelivered) -> None:
        async def deliver(message: DeliveredMessage) -> None:
            delivered = _delivered(message)
            self._acks.delivered(delivered.tag)
            take(delivered)

        await self.channel.basic_consume(queue, deliver, consumer_tag=consumer)

    async def listen(self, queue: str, consumer: str, take: OnBody) -> None:
        async def deliver(message: DeliveredMessage) -> None:
            assert message.delivery_tag is not None
            self._acks.delivered(message.delivery_tag)
            try:
                take(message.body)
            finally:
                self.ack(message.delivery_tag)

        await self.channel.basic_consume(queue, deliver, consumer_tag=consumer)

    async def cancel(self, consumer: str) -> None:
        await self.channel.basic_cancel(consumer)

    # -- ending --------------------------------------------------------------------------------

    async def flush(self) -> None:
        while self._is_open and (self._parcels or self._unconfirmed):
            await asyncio.sleep(0)
            if self._unconfirmed:
                await asyncio.wait(self._unconfirmed)
        settled = asyncio.ensure_future(self._is_settled.wait())
        await asyncio.wait([settled, self._tasks[1]], return_when=asyncio.FIRST_COMPLETED)
        settled.cancel()
        if self._is_open:
            await self.channel.exchange_declare(PROBE_EXCHANGE, passive=True)

    async def close(self) -> None:
        self._is_open = False
        tasks = [*self._tasks, *self._unconfirmed]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _delivered(message: DeliveredMessage) -> Delivered:
    assert message.delivery_tag is not None
    properties = message.header.properties
    return Delivered(
        message.body,
        message.delivery_tag,
        bool(message.redelivered),
        properties.correlation_id or None,
        properties.reply_to or None,
    )
