"""The transport that carries calls over RabbitMQ."""

from __future__ import annotations

import asyncio
import logging
import random
from contextvars import Context

from aiormq.exceptions import AMQPError

from ....protocol import envelopes
from ....words import hooks
from ....words.errors import ConnectionLostError, NotConnectedError, TooLargeError
from ....words.ids import new_id
from ...base import NESTED, PROCESS, ROOT, WORKERS, Delivery, Message, Transport
from .parcels import Delivered, Parcel, Returned, part
from .peers import Peers
from .session import Session
from .settings import Names, Settings
from .windows import Window

logger = logging.getLogger("atasks_ng.amqp")

# How often windows that have become too wide are narrowed, in seconds.
_NARROW_EVERY = 1.0

# RabbitMQ closes the channel on a longer one, which is 49 days.
_MAX_TTL_MS = 2**32 - 2


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
        max_message_bytes: Largest message. The broker must be configured to take as much.
        fast: Whether messages take the fast lane, beside aiormq, or go through it.
        confirms: Whether the broker confirms what the fast lane sends. Nothing is lost without:
            callers send again what was not answered, and an answer cannot be lost alone.

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
        max_message_bytes: int = 16 * 1024 * 1024,
        fast: bool = True,
        confirms: bool = False,
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
            max_message_bytes=max_message_bytes,
            fast=fast,
            confirms=confirms,
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
        # Longer than the lease that looking has renewed.
        self._peers = Peers(reply_expires + 10.0)

    # -- connecting ----------------------------------------------------------------------------

    async def connect(self) -> None:
        """
        Connect to the broker.

        Raises:
            ConnectionLostError: Nobody answers there, or access is refused.
        """
        if self._keeper is not None:
            return
        try:
            await self._open_session()
        except BaseException:
            self._session = None
            raise
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
            self.settings,
            self._names,
            self._identity,
            self._take_body,
            self._take_request,
            self._take_returned,
            lambda: self.receiver is not None and self.receiver.is_waiting,
        )
        await session.open()
        # Before it listens: what has waited for this process comes at once, and is answered here.
        self._session = session
        await session.listen()
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
            await self._redial()
            logger.warning("the link to %s is there again", self._shown)
            if self.receiver is not None:
                self.receiver.on_link(up=True)

    async def _redial(self) -> None:
        pause = 0.1
        while True:
            try:
                session = await self._open_session()
                for queue, windows in self._windows.items():
                    for window in windows:
                        window.forget()
                    await session.serve(queue, windows)
                return
            except (ConnectionLostError, AMQPError, OSError, RuntimeError) as exc:
                logger.info("%s", exc)
                if self._session is not None:
                    await self._session.close()
            # Jitter: a thousand processes must not dial in step.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, self.settings.reconnect_delay)

    @property
    def _shown(self) -> str:
        return self.settings.shown_url

    # -- sending -------------------------------------------------------------------------------

    @property
    def is_writable(self) -> bool:
        """False while what is posted only piles up here: the link is away, blocked or full."""
        return self._session is not None and self._session.is_writable

    def post(self, message: Message) -> None:
        """Publish a message; while the link is away, requests wait for the router to post again."""
        if self._session is None:
            raise NotConnectedError(self.namespace)
        self._check_size(message.body)
        self._session.publish(self._parcel(message))

    def _check_size(self, body: bytes) -> None:
        limit = self.settings.max_message_bytes
        if len(body) > limit:
            raise TooLargeError(len(body), limit)

    def _parcel(self, message: Message) -> Parcel:
        names = self._names
        kind = message.kind
        if kind == WORKERS:
            return Parcel(names.control, message.target, message.body, message.id)
        if kind == PROCESS:
            return Parcel(names.replies, message.target, message.body, message.id)
        assert kind in (ROOT, NESTED)
        ttl_ms = message.ttl_ms
        if ttl_ms is not None and ttl_ms > _MAX_TTL_MS:
            ttl_ms = None
        return Parcel(
            names.requests,
            names.key(message.target, nested=kind == NESTED),
            message.body,
            message.id,
            self.address,
            ttl_ms,
            mandatory=True,
        )

    async def flush(self) -> None:
        """Return when everything posted and settled so far is with the broker."""
        session = self._session
        if session is None or session.lost.done():
            return
        try:
            async with asyncio.timeout(self.settings.request_timeout):
                await session.flush()
        except TimeoutError:
            logger.warning("%s does not take what was sent to it", self._shown)
        except (AMQPError, OSError, RuntimeError) as exc:
            logger.debug("flushing: %r", exc)

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
            except TimeoutError:
                logger.warning("%s does not say that it sends no more requests", self._shown)
            except (AMQPError, OSError, RuntimeError) as exc:
                logger.debug("stopping consumers: %r", exc)
        for window in windows:
            window.is_shut = True

    def widen(self, queue: str, *, nested: bool, suspended: int) -> None:
        """Let the window grow by the calls that wait for others, and shrink again."""
        windows = self._windows.get(queue)
        if windows is None:
            return
        window = windows[nested]
        window.suspended = suspended
        if window.target > window.size:
            self._adjust.set()

    async def is_served(self, queue: str) -> bool | None:
        """Return whether any worker takes requests from a queue."""
        if self._session is None:
            return None
        name = self._names.work(self._names.key(queue, nested=False))
        count = await self._session.count_consumers(name)
        return None if count is None else count > 0

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

    def _take_body(self, body: bytes) -> None:
        if self.receiver is not None:
            for each in part(body):
                self.receiver.on_envelope(each)

    def _take_request(self, session: Session, window: Window, delivered: Delivered) -> None:
        stale = window.take_stale() or self._peers.is_gone(delivered.reply_to or "")
        delivery = _AMQPDelivery(self, session, window, delivered, stale)
        if self.receiver is None or window.is_shut:
            delivery.hand_back()
        else:
            self.receiver.on_request(delivery)

    def _take_returned(self, returned: Returned) -> None:
        if self.receiver is None:
            return
        if returned.exchange == self._names.requests:
            queue, nested = self._names.queue(returned.key)
            kind = NESTED if nested else ROOT
            self.receiver.on_returned(Message(kind, queue, returned.id or "", returned.body))
            return
        self._peers.note_gone(returned.key)
        bodies = part(returned.body)
        joined = len(bodies) > 1
        for id in [envelopes.decode(body).id for body in bodies] if joined else [returned.id or ""]:
            if hooks.listeners:
                hooks.emit(hooks.MessageDropped("the caller is gone", id))
            self.receiver.on_gone(id)

    # -- for deliveries ------------------------------------------------------------------------

    def is_away(self, address: str) -> bool:
        """Return True if a process is known to have no link."""
        return self._peers.is_away(address, asyncio.get_running_loop().time())

    async def find_process(self, address: str) -> bool:
        """Return False if a process has no link just now, True if it has, or nobody can say."""
        if self.is_away(address):
            return False
        count = None if self._session is None else await self._session.count_consumers(address)
        if count == 0:
            self._peers.note_away(address, asyncio.get_running_loop().time())
        return count != 0

    def answer(self, session: Session, tag: int, parcel: Parcel) -> None:
        """Send an answer and settle its request, or send it alone if that session is lost."""
        if session.lost.done():
            self.say(parcel)
        else:
            session.answer(tag, parcel)

    def say(self, parcel: Parcel) -> None:
        """Send something on the session of now, which need not be that of the delivery."""
        if self._session is not None:
            self._session.say(parcel)

    def reply_parcel(self, address: str, id: str, body: bytes) -> Parcel:
        """Return an answer on its way to a process; it comes back when that is gone."""
        try:
            self._check_size(body)
        except TooLargeError as exc:
            refusal = envelopes.Refusal(envelopes.decode(body).id, "TooLargeError", [*exc.args])
            body = envelopes.encode(refusal)
        return Parcel(self._names.replies, address, body, id, mandatory=True, joins=True)

    def dead_parcel(self, body: bytes, id: str, reason: str, queue: str) -> Parcel:
        """Return a refused message on its way to where operators find it."""
        headers = {"reason": reason[:1000], "queue": queue}
        return Parcel(self._names.dead, "", body, id, persistent=True, headers=headers)


class _AMQPDelivery(Delivery):
    __slots__ = ("_reply_to", "_session", "_settled", "_tag", "_transport")

    def __init__(
        self,
        transport: AMQPTransport,
        session: Session,
        window: Window,
        delivered: Delivered,
        stale: bool,
    ) -> None:
        super().__init__(
            delivered.body,
            id=delivered.id,
            queue=window.queue,
            nested=window.nested,
            redelivered=delivered.redelivered,
            stale=stale,
        )
        self._transport = transport
        self._session = session
        self._tag = delivered.tag
        self._reply_to = delivered.reply_to
        self._settled = False

    @property
    def is_away(self) -> bool:
        return self._transport.is_away(self._reply_to or "")

    async def find_caller(self) -> bool:
        return await self._transport.find_process(self._reply_to) if self._reply_to else True

    def finish(self, answer: bytes | None, context: Context | None = None) -> None:
        if self._settled:
            return
        self._settled = True
        if answer is None or not self._reply_to:
            self._session.settle(self._tag)
        else:
            parcel = self._transport.reply_parcel(self._reply_to, self.id or "", answer)
            self._transport.answer(self._session, self._tag, parcel)

    def say(self, envelope: bytes, context: Context | None = None) -> None:
        if self._reply_to:
            parcel = self._transport.reply_parcel(self._reply_to, self.id or "", envelope)
            self._transport.say(parcel)

    def hand_back(self) -> None:
        if not self._settled:
            self._settled = True
            self._session.requeue(self._tag)

    def refuse(self, reason: str, answer: bytes | None) -> None:
        self._transport.say(
            self._transport.dead_parcel(self.body, self.id or "", reason, self.queue)
        )
        self.finish(answer)
