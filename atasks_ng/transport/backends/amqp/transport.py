"""The transport that carries calls over RabbitMQ."""

from __future__ import annotations

import asyncio
import logging
import random
from contextvars import Context

from aiormq.abc import DeliveredMessage
from aiormq.exceptions import AMQPError

from ....words import hooks
from ....words.errors import ConnectionLostError, NotConnectedError
from ....words.ids import new_id
from ...base import NESTED, PROCESS, ROOT, WORKERS, Delivery, Message, Transport
from .parcels import Parcel
from .session import Session
from .settings import Names, Settings
from .windows import Window

logger = logging.getLogger("atasks_ng.amqp")

# How often windows that have become too wide are narrowed, in seconds.
_NARROW_EVERY = 1.0


class AMQPTransport(Transport):
    """
    Carry calls over RabbitMQ.

    Requests wait in durable queues, one pair (root and nested calls) for each queue name; replies
    and notices come to a queue of this process. When the link is lost it is made anew, and
    calls that are under way go on.

    Args:
        namespace: Where to install it; also a part of the names on the broker.
        url: ``amqp://user:password@host:5672/virtual-host``, or ``amqps://…`` for TLS.
        prefix: First part of the name of every exchange and queue.
        queue_type: ``"classic"`` or ``"quorum"``.
        heartbeat: Seconds between signs of life on the link.
        request_timeout: Longest wait in seconds for the broker's answer to anything.
        reply_expires: How many seconds the broker keeps the replies to a process it has lost.
        max_suspended: How many root calls a worker may hold that wait for other calls.
        reconnect_delay: Longest pause in seconds between two tries to connect again.

    Raises:
        BadURLError: The URL cannot be used.
        OptionError: An option is out of range.
    """

    def __init__(
        self,
        namespace: str = "default",
        url: str = "amqp://localhost/",
        *,
        prefix: str = "atasks_ng",
        queue_type: str = "classic",
        heartbeat: int = 15,
        request_timeout: float = 10.0,
        reply_expires: int = 60,
        max_suspended: int = 1000,
        reconnect_delay: float = 5.0,
    ) -> None:
        self.settings = Settings(
            url=url,
            prefix=prefix,
            namespace=namespace,
            queue_type=queue_type,
            heartbeat=heartbeat,
            request_timeout=request_timeout,
            reply_expires=reply_expires,
            max_suspended=max_suspended,
            reconnect_delay=reconnect_delay,
        )
        super().__init__(namespace)
        self._names = Names(f"{prefix}.{namespace}")
        self._identity = new_id()
        self.address = self._names.inbox(self._identity)
        self._session: Session | None = None
        self._windows: dict[str, list[Window]] = {}
        self._keeper: asyncio.Task[None] | None = None
        self._adjuster: asyncio.Task[None] | None = None
        self._adjust = asyncio.Event()

    # -- connecting ----------------------------------------------------------------------------

    async def connect(self) -> None:
        """
        Connect to the broker.

        Raises:
            ConnectionLostError: Nobody answers there, or access is refused.
        """
        if self._keeper is not None:
            return
        self._session = await self._open_session()
        self._keeper = asyncio.create_task(self._keep())
        self._adjuster = asyncio.create_task(self._adjust_windows())

    async def disconnect(self) -> None:
        """Let go of the broker; what was delivered here and is not settled goes back to it."""
        for task in (self._keeper, self._adjuster):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._keeper = self._adjuster = None
        session, self._session = self._session, None
        self._windows.clear()
        if session is not None:
            await session.close(forget_inbox=True)

    async def _open_session(self) -> Session:
        session = Session(
            self.settings, self._names, self._identity, self._take_envelope, self._take_request
        )
        await session.open()
        return session

    async def _keep(self) -> None:
        """Make the link anew whenever it is lost."""
        while True:
            assert self._session is not None
            reason = await asyncio.shield(self._session.lost)
            logger.warning("lost the link to %s (%s); connecting again", self._shown, reason)
            if self.receiver is not None:
                self.receiver.on_link(up=False)
            await self._session.close()
            self._session = await self._redial()
            logger.warning("the link to %s is there again", self._shown)
            if self.receiver is not None:
                self.receiver.on_link(up=True)

    async def _redial(self) -> Session:
        pause = 0.1
        while True:
            try:
                session = await self._open_session()
                for queue, windows in self._windows.items():
                    for window in windows:
                        window.forget()
                    await session.serve(queue, windows)
                return session
            except (ConnectionLostError, AMQPError, OSError, RuntimeError) as exc:
                logger.info("%s", exc)
            # Jitter: a thousand processes must not dial in step.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, self.settings.reconnect_delay)

    @property
    def _shown(self) -> str:
        return self.settings.shown_url

    # -- sending -------------------------------------------------------------------------------

    def post(self, message: Message) -> None:
        """Publish a message; while the link is away, requests wait for the router to post again."""
        if self._session is None:
            raise NotConnectedError(self.namespace)
        self._session.publish(self._parcel(message))

    def _parcel(self, message: Message) -> Parcel:
        names = self._names
        if message.kind in (ROOT, NESTED):
            return Parcel(
                names.requests,
                names.key(message.target, nested=message.kind == NESTED),
                message.body,
                message.id,
                self.address,
                message.ttl_ms,
                mandatory=True,
                message=message,
                on_sent=lambda routed: self._sent(message, routed),
            )
        exchange = names.control if message.kind == WORKERS else names.replies
        assert message.kind in (WORKERS, PROCESS)
        return Parcel(exchange, message.target, message.body, message.id)

    def _sent(self, message: Message, routed: bool) -> None:
        if not routed and self.receiver is not None:
            self.receiver.on_returned(message)

    async def flush(self) -> None:
        """Return when everything posted and settled so far is with the broker."""
        session = self._session
        if session is None or session.lost.done():
            return
        try:
            async with asyncio.timeout(self.settings.request_timeout):
                await session.lane.flush()
        except TimeoutError:
            logger.warning("%s does not take what was sent to it", self._shown)

    # -- receiving -----------------------------------------------------------------------------

    async def consume(self, queue: str, window: int) -> None:
        """Take requests from a queue."""
        if self._session is None:
            raise NotConnectedError(self.namespace)
        if queue not in self._windows:
            bound = self.settings.max_suspended
            self._windows[queue] = [
                Window(queue, nested=nested, base=window, max_suspended=bound)
                for nested in (False, True)
            ]
        for each in self._windows[queue]:
            each.base = window
        await self._session.serve(queue, self._windows[queue])

    async def stop_consuming(self) -> None:
        """Take no more requests; those delivered can still be settled."""
        windows = [window for pair in self._windows.values() for window in pair]
        self._windows.clear()
        if self._session is not None and not self._session.lost.done():
            try:
                await self._session.stop_serving(windows)
            except (AMQPError, OSError, RuntimeError) as exc:
                logger.debug("stopping consumers: %r", exc)

    def widen(self, queue: str, *, nested: bool, suspended: int) -> None:
        """Let the window grow by the calls that wait for others, and shrink again."""
        windows = self._windows.get(queue)
        if windows is None:
            return
        window = windows[nested]
        window.suspended = suspended
        if window.target > window.size:
            self._adjust.set()

    async def _adjust_windows(self) -> None:
        loop = asyncio.get_running_loop()
        narrow_at = loop.time() + _NARROW_EVERY
        while True:
            try:
                async with asyncio.timeout_at(narrow_at):
                    await self._adjust.wait()
            except TimeoutError:
                pass
            self._adjust.clear()
            shrink = loop.time() >= narrow_at
            if shrink:
                narrow_at = loop.time() + _NARROW_EVERY
            await self._adjust_all(shrink)

    async def _adjust_all(self, shrink: bool) -> None:
        session = self._session
        if session is None or session.lost.done():
            return
        try:
            for pair in list(self._windows.values()):
                for window in pair:
                    await session.adjust(window, shrink=shrink)
        except (AMQPError, OSError, RuntimeError, TimeoutError) as exc:
            logger.debug("adjusting windows: %r", exc)

    def _take_envelope(self, message: DeliveredMessage) -> None:
        if self.receiver is not None:
            self.receiver.on_envelope(message.body)

    def _take_request(self, session: Session, window: Window, message: DeliveredMessage) -> None:
        delivery = _AMQPDelivery(self, session, window, message)
        if self.receiver is None:
            delivery.hand_back()
        else:
            self.receiver.on_request(delivery)

    # -- for deliveries ------------------------------------------------------------------------

    def publish(self, parcel: Parcel) -> None:
        """Publish on the session of now, which need not be that of the delivery."""
        if self._session is not None:
            self._session.publish(parcel)

    def reply_parcel(self, address: str, id: str, body: bytes) -> Parcel:
        """Return an answer on its way to a process; it comes back when that is gone."""
        return Parcel(self._names.replies, address, body, id, mandatory=True)

    def dead_parcel(self, body: bytes, id: str, reason: str, queue: str) -> Parcel:
        """Return a refused message on its way to where operators find it."""
        headers = {"reason": reason[:1000], "queue": queue}
        return Parcel(self._names.dead, "", body, id, persistent=True, headers=headers)


class _AMQPDelivery(Delivery):
    __slots__ = ("_message", "_reply_to", "_session", "_settled", "_transport")

    def __init__(
        self,
        transport: AMQPTransport,
        session: Session,
        window: Window,
        message: DeliveredMessage,
    ) -> None:
        properties = message.header.properties
        super().__init__(
            message.body,
            id=properties.correlation_id,
            queue=window.queue,
            nested=window.nested,
            redelivered=bool(message.redelivered),
        )
        self._transport = transport
        self._session = session
        self._message = message
        self._reply_to = properties.reply_to
        self._settled = False

    def finish(self, answer: bytes | None, context: Context | None = None) -> None:
        if self._settled:
            return
        self._settled = True
        if answer is None or not self._reply_to:
            self._session.settle(self._message)
            return
        parcel = self._transport.reply_parcel(self._reply_to, self.id or "", answer)
        parcel.on_sent = self._answered
        self._transport.publish(parcel)

    def say(self, envelope: bytes, context: Context | None = None) -> None:
        if self._reply_to:
            parcel = self._transport.reply_parcel(self._reply_to, self.id or "", envelope)
            self._transport.publish(parcel)

    def hand_back(self) -> None:
        if not self._settled:
            self._settled = True
            self._session.requeue(self._message)

    def refuse(self, reason: str, answer: bytes | None) -> None:
        self._transport.publish(
            self._transport.dead_parcel(self.body, self.id or "", reason, self.queue)
        )
        self.finish(answer)

    def _answered(self, routed: bool) -> None:
        # Only now: until the broker has the answer, the request is what brings it about.
        self._session.settle(self._message)
        if not routed and hooks.listeners:
            hooks.emit(hooks.MessageDropped("the caller is gone", self.id))
