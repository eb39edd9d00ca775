"""One life of the link: two connections, their channels and the topology, until one is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import aiormq
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp.common import FieldValue

from ....words.errors import ConnectionLostError
from .lane import PlainLane
from .parcels import Parcel
from .settings import Names, Settings
from .windows import Window

logger = logging.getLogger("atasks_ng.amqp")

# The broker sends this many replies ahead of their acknowledgement.
_INBOX_PREFETCH = 5000

# How long refused messages are kept, and how many.
_DEAD_TTL_MS = 7 * 24 * 3600 * 1000
_DEAD_LENGTH = 10_000

OnMessage = Callable[[DeliveredMessage], None]
Arguments = dict[str, FieldValue]


class Session:
    """
    Everything that dies with the link.

    One connection publishes, the other consumes and acknowledges: a broker short of memory blocks
    whoever publishes, and then takes no acknowledgements on that connection either.

    Args:
        settings: How to treat the broker.
        names: What things are called there.
        inbox: Identity of this process, part of its address.
        on_envelope: Called with each message for this process.
        on_request: Called with each request.

    Attributes:
        lost: Done when the session is of no use any more; its result says why.
    """

    def __init__(
        self,
        settings: Settings,
        names: Names,
        inbox: str,
        on_envelope: OnMessage,
        on_request: Callable[[Session, Window, DeliveredMessage], None],
    ) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.address = names.inbox(inbox)
        self._settings = settings
        self._names = names
        self._on_envelope = on_envelope
        self._on_request = on_request
        self._connections: list[aiormq.Connection] = []
        self._windows_lock = asyncio.Lock()
        self._bound: set[str] = set()
        self._inbox_tag = "inbox"
        self._watchers: list[asyncio.Future[Any]] = []

    # -- opening and closing -------------------------------------------------------------------

    async def open(self) -> None:
        """
        Dial, declare, and listen for what comes to this process.

        Raises:
            ConnectionLostError: It cannot be done; the sentence says why.
        """
        where = self._settings.shown_url
        try:
            async with asyncio.timeout(self._settings.request_timeout):
                await self._open()
        except TimeoutError:
            await self.close()
            seconds = self._settings.request_timeout
            raise ConnectionLostError(f"{where} did not answer within {seconds:g} s") from None
        except (aiormq.exceptions.AMQPError, OSError, RuntimeError) as exc:
            await self.close()
            raise ConnectionLostError(f"cannot connect to {where}: {_reason(exc)}") from exc
        except BaseException:
            await self.close()
            raise

    async def _open(self) -> None:
        publishing = await self._dial("publishes")
        consuming = await self._dial("consumes")
        out = await self._open_channel(publishing, confirms=True)
        self._inbox = await self._open_channel(consuming)
        self._work = await self._open_channel(consuming)
        self.lane = PlainLane(out, self._settings.request_timeout)
        await self._declare()
        await self._inbox.basic_qos(prefetch_count=_INBOX_PREFETCH)
        await self._inbox.basic_consume(
            self.address, self._take_envelope, consumer_tag=self._inbox_tag
        )

    async def _dial(self, role: str) -> aiormq.Connection:
        connection = aiormq.Connection(self._settings.dial_url(role))
        self._connections.append(connection)
        await connection.connect()
        self._watch(connection, "the connection was lost")
        return connection

    async def _open_channel(
        self, connection: aiormq.Connection, *, confirms: bool = False
    ) -> Channel:
        channel = await connection.channel(publisher_confirms=confirms)
        assert isinstance(channel, Channel)
        self._watch(channel, "a channel was closed")
        channel.on_consumer_cancel_callbacks.add(self._on_consumer_cancelled)
        return channel

    async def _declare(self) -> None:
        channel, names = self._inbox, self._names
        for exchange, kind in (
            (names.requests, "direct"),
            (names.replies, "direct"),
            (names.control, "direct"),
            (names.dead, "fanout"),
        ):
            await channel.exchange_declare(exchange, exchange_type=kind, durable=True)
        # Durable and expiring, not exclusive: replies that come while the link is away are kept.
        expires: Arguments = {"x-expires": self._settings.reply_expires * 1000}
        await channel.queue_declare(self.address, durable=True, arguments=expires)
        await channel.queue_bind(self.address, names.replies, self.address)

    async def close(self, *, forget_inbox: bool = False) -> None:
        """Let go of everything; with ``forget_inbox``, of the address of this process too."""
        for watcher in self._watchers:
            watcher.cancel()
        if forget_inbox and not self.lost.done():
            try:
                # Deleting a queue that is consumed would look like a fault of the broker.
                await self._inbox.basic_cancel(self._inbox_tag, timeout=1.0)
                await self._inbox.queue_delete(self.address, timeout=1.0)
            except (aiormq.exceptions.AMQPError, OSError, RuntimeError, TimeoutError):
                logger.debug("%s expires by itself", self.address)
        if not self.lost.done():
            self.lost.set_result("closed")
        if hasattr(self, "lane"):
            await self.lane.close()
        for connection in self._connections:
            try:
                await connection.close(timeout=2.0)
            except Exception as exc:
                logger.debug("closing %r: %r", connection, exc)

    def _watch(self, thing: aiormq.Connection | Channel, what: str) -> None:
        closing = thing.closing

        def gone(future: asyncio.Future[Any]) -> None:
            if future.cancelled():
                return
            exc = future.exception()
            if not self.lost.done():
                self.lost.set_result(f"{what}: {_reason(exc)}" if exc else what)

        closing.add_done_callback(gone)
        self._watchers.append(closing)

    def _on_consumer_cancelled(self, frame: Any) -> None:
        if not self.lost.done():
            self.lost.set_result(f"the broker cancelled consumer {frame.consumer_tag!r}")

    # -- requests ------------------------------------------------------------------------------

    async def serve(self, queue: str, windows: list[Window]) -> None:
        """Declare the queues of requests and open their windows."""
        arguments: Arguments = {"x-queue-type": self._settings.queue_type}
        for window in windows:
            key = self._names.key(queue, nested=window.nested)
            name = self._names.work(key)
            await self._work.queue_declare(name, durable=True, arguments=arguments)
            await self._work.queue_bind(name, self._names.requests, key)
        if queue not in self._bound:
            self._bound.add(queue)
            await self._inbox.queue_bind(self.address, self._names.control, queue)
        for window in windows:
            await self.adjust(window)

    async def adjust(self, window: Window, *, shrink: bool = False) -> None:
        """Add the consumers that a window lacks; cancel those that it does not need."""
        name = self._names.work(self._names.key(window.queue, nested=window.nested))
        # One at a time: prefetch is a setting of the channel that the next consumer inherits.
        async with self._windows_lock:
            while (consumer := window.grow()) is not None:
                await self._work.basic_qos(prefetch_count=consumer.prefetch)
                await self._work.basic_consume(
                    name, self._take_request(window), consumer_tag=consumer.tag
                )
            if shrink:
                for shut in window.shrink():
                    await self._work.basic_cancel(shut.tag)

    async def stop_serving(self, windows: list[Window]) -> None:
        """Cancel the consumers; what was delivered can still be settled."""
        async with self._windows_lock:
            for window in windows:
                for tag in window.tags:
                    await self._work.basic_cancel(tag)
                window.forget()

    def settle(self, message: DeliveredMessage) -> None:
        """Acknowledge a request; of a session that is lost, the broker has it back already."""
        if not self.lost.done() and message.delivery_tag is not None:
            self.lane.ack(self._work, message.delivery_tag)

    def requeue(self, message: DeliveredMessage) -> None:
        """Put a request back into its queue."""
        if not self.lost.done() and message.delivery_tag is not None:
            self.lane.requeue(self._work, message.delivery_tag)

    def publish(self, parcel: Parcel) -> None:
        """Publish, or drop it if the session is lost."""
        if not self.lost.done():
            self.lane.publish(parcel)

    async def _take_envelope(self, message: DeliveredMessage) -> None:
        assert message.delivery_tag is not None
        self.lane.delivered(self._inbox, message.delivery_tag)
        try:
            self._on_envelope(message)
        finally:
            self.lane.ack(self._inbox, message.delivery_tag)

    def _take_request(self, window: Window) -> Callable[[DeliveredMessage], Any]:
        async def take(message: DeliveredMessage) -> None:
            assert message.delivery_tag is not None
            self.lane.delivered(self._work, message.delivery_tag)
            self._on_request(self, window, message)

        return take


def _reason(exc: BaseException) -> str:
    text = ", ".join(str(arg) for arg in exc.args if arg) or str(exc)
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__
