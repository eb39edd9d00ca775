"""
The data path of one session: publish, acknowledge, in the order they were asked for.

This one goes through aiormq message by message. Nothing here waits in the caller: what is asked
for is queued, and one task for each direction carries it out.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Awaitable

import aiormq
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError, DeliveryError, PublishError

from .parcels import Acks, Parcel

logger = logging.getLogger("atasks_ng.amqp")

# Publishes that wait for the broker's confirmation at once; more would only wait in aiormq.
_MAX_UNCONFIRMED = 1000


class PlainLane:
    """
    Publish on one channel, acknowledge on others.

    Args:
        channel: The channel to publish on, with confirmations.
        timeout: Longest wait in seconds for a confirmation.
    """

    def __init__(self, channel: Channel, timeout: float) -> None:
        self._channel = channel
        self._timeout = timeout
        self._parcels: deque[Parcel] = deque()
        self._unconfirmed: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._room = asyncio.Semaphore(_MAX_UNCONFIRMED)
        self._ids = itertools.count(1)
        self._settlers: dict[Channel, _Settler] = {}
        self._tasks = [asyncio.create_task(self._pump())]
        self._closed = False

    def publish(self, parcel: Parcel) -> None:
        """Send a message after those before it."""
        self._parcels.append(parcel)
        self._wake.set()

    def delivered(self, channel: Channel, tag: int) -> None:
        """Hear of a delivery that will be settled here."""
        self._settler(channel).delivered(tag)

    def ack(self, channel: Channel, tag: int) -> None:
        """Acknowledge a delivery."""
        self._settler(channel).ack(tag)

    def requeue(self, channel: Channel, tag: int) -> None:
        """Put a delivery back into its queue."""
        self._settler(channel).requeue(tag)

    async def flush(self) -> None:
        """Return when everything asked for so far is with the broker."""
        while not self._closed and (self._parcels or self._unconfirmed):
            await asyncio.sleep(0)
            if self._unconfirmed:
                await asyncio.wait(self._unconfirmed)
        for settler in self._settlers.values():
            await settler.flush()

    async def close(self) -> None:
        """Stop; what was not sent is dropped."""
        self._closed = True
        tasks = [*self._tasks, *self._unconfirmed]
        tasks += [settler.task for settler in self._settlers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _settler(self, channel: Channel) -> _Settler:
        try:
            return self._settlers[channel]
        except KeyError:
            return self._settlers.setdefault(channel, _Settler(channel))

    async def _pump(self) -> None:
        while True:
            while self._parcels:
                await self._room.acquire()
                task = asyncio.create_task(self._publish(self._parcels.popleft()))
                self._unconfirmed.add(task)
                task.add_done_callback(self._published)
            self._wake.clear()
            await self._wake.wait()

    def _published(self, task: asyncio.Task[None]) -> None:
        self._unconfirmed.discard(task)
        self._room.release()
        if not task.cancelled() and task.exception() is not None:
            logger.error("publishing failed", exc_info=task.exception())

    async def _publish(self, parcel: Parcel) -> None:
        routed = True
        try:
            await self._channel.basic_publish(
                parcel.body,
                exchange=parcel.exchange,
                routing_key=parcel.key,
                properties=self._properties(parcel),
                mandatory=parcel.mandatory,
                timeout=self._timeout,
                wait=False,
            )
        except PublishError:
            routed = False
        except (AMQPError, ConnectionError, TimeoutError, RuntimeError) as exc:
            # The session is being lost; what matters is sent again on the next one.
            if isinstance(exc, DeliveryError):
                logger.warning("the broker refused a message for %s", parcel.key)
            return
        if parcel.on_sent is not None:
            parcel.on_sent(routed)

    def _properties(self, parcel: Parcel) -> aiormq.spec.Basic.Properties:
        return aiormq.spec.Basic.Properties(
            content_type="application/vnd.msgpack",
            correlation_id=parcel.id or None,
            reply_to=parcel.reply_to,
            expiration=None if parcel.ttl_ms is None else str(parcel.ttl_ms),
            # aiormq finds a returned message by this; a resent call has the same correlation id.
            message_id=str(next(self._ids)),
            delivery_mode=2 if parcel.persistent else 1,
            headers=parcel.headers,
        )


class _Settler:
    """Acknowledges the deliveries of one channel, a loop tick's worth at a time."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._acks = Acks()
        self._requeues: list[int] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.task = asyncio.create_task(self._pump())

    def delivered(self, tag: int) -> None:
        self._acks.delivered(tag)

    def ack(self, tag: int) -> None:
        self._acks.settle(tag)
        self._stir()

    def requeue(self, tag: int) -> None:
        self._acks.skip(tag)
        self._requeues.append(tag)
        self._stir()

    async def flush(self) -> None:
        idle = asyncio.ensure_future(self._idle.wait())
        await asyncio.wait([idle, self.task], return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()

    def _stir(self) -> None:
        self._idle.clear()
        self._wake.set()

    async def _pump(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                for each in self._frames():
                    await each
                if not self._wake.is_set():
                    self._idle.set()
        except (AMQPError, ConnectionError, RuntimeError) as exc:
            logger.debug("acknowledging ended: %r", exc)

    def _frames(self) -> list[Awaitable[None]]:
        requeues, self._requeues = self._requeues, []
        # First: an acknowledgement of many must not cover what goes back.
        frames: list[Awaitable[None]]
        frames = [self._channel.basic_nack(tag, requeue=True, wait=False) for tag in requeues]
        frames += [self._channel.basic_ack(tag, m, wait=False) for tag, m in self._acks.take()]
        return frames
