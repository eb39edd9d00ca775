"""The transport that carries calls over RabbitMQ."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
from collections.abc import Sequence

from aiormq.exceptions import AMQPError

from ....protocol import envelopes
from ....words import hooks
from ....words.errors import (
    ForkedError,
    NotConnectedError,
    WrongLoopError,
)
from ....words.ids import new_id
from ...base import NESTED, ROOT, WORKERS, Message, Transport
from .adjusting import Adjuster
from .arrivals import bring, ids_of
from .deliveries import AMQPDelivery
from .keeping import Keeper
from .packing import Packer
from .parcels import Delivered, Parcel, Returned
from .peers import Peers
from .query import take_options
from .session import Session
from .settings import Credentials, Settings
from .windows import Window

logger = logging.getLogger("atasks_ng.amqp")


class AMQPTransport(Transport):
    """
    Carry calls over RabbitMQ.

    Requests wait in durable queues, one pair (root and nested calls) for each queue name; replies
    and notices come to a queue of this process. When the link is lost it is made anew, and
    calls that are under way go on.

    Args:
        namespace: Where to install it; also a part of the names on the broker.
        url: ``amqp://user:password@host:5672/virtual-host``, or ``amqps://…`` for TLS. Several
            brokers of one cluster, in a sequence or with commas between, are tried in order; when
            one fails, the next is dialed. What follows but ``namespace`` and the last two can stand
            in the URL, too, and is taken from there: ``…/virtual-host?prefix=mine&heartbeat=5``.
        prefix: First part of the name of every exchange and queue.
        queue_type: ``"classic"`` or ``"quorum"``.
        heartbeat: Seconds between signs of life on the link.
        request_timeout: Longest wait in seconds for the broker's answer to anything.
        reply_expires: How many seconds the broker keeps the replies to a process it has lost.
        max_suspended: How many root calls a worker may hold that wait for other calls.
        reconnect_delay: Longest time in seconds from one try to connect again to the next, which
            doubles from 0.75 up to it.
        access_grace: For how many seconds, when the login is refused while the link is made anew,
            calls wait for it to be accepted again.
        max_message_bytes: Largest message. The broker must be configured to take as much.
        fast: Whether messages take the fast lane, beside aiormq, or go through it.
        confirms: Whether the broker confirms what the fast lane sends. Nothing is lost without:
            callers send again what was not answered, and an answer cannot be lost alone.
        credentials: Returns a user and a password, or an awaitable of them, in place of those in
            the URL; called anew each time a broker is dialed. A plain function must not wait.
        unsafe_no_verify: Allow ``no_verify_ssl=1`` in the URL, which lets anybody pass for the
            broker.
        insecure: What to do about a way to another machine that is not encrypted or not verified,
            and about the user ``guest`` there: ``"warn"`` logs it once, ``"refuse"`` raises,
            ``"allow"`` says nothing. The URL cannot take back a ``"refuse"`` given here.

    Raises:
        BadURLError: The URL cannot be used.
        OptionError: An option is out of range.
    """

    seals = True
    takes_pieces = True

    def __init__(
        self,
        namespace: str = "default",
        url: str | Sequence[str] = "amqp://localhost/",
        *,
        prefix: str = "atasks_ng",
        queue_type: str = "classic",
        heartbeat: int = 15,
        request_timeout: float = 10.0,
        reply_expires: int = 60,
        max_suspended: int = 1000,
        reconnect_delay: float = 0.75,
        access_grace: float = 30.0,
        max_message_bytes: int = 16 * 1024 * 1024,
        fast: bool = True,
        confirms: bool = False,
        credentials: Credentials | None = None,
        unsafe_no_verify: bool = False,
        insecure: str = "warn",
    ) -> None:
        url, told = take_options(url if isinstance(url, str) else ",".join(url))
        settings = Settings(
            url,
            prefix=prefix,
            namespace=namespace,
            queue_type=queue_type,
            heartbeat=heartbeat,
            request_timeout=request_timeout,
            reply_expires=reply_expires,
            max_suspended=max_suspended,
            reconnect_delay=reconnect_delay,
            access_grace=access_grace,
            max_message_bytes=max_message_bytes,
            fast=fast,
            confirms=confirms,
            credentials=credentials,
            unsafe_no_verify=unsafe_no_verify,
            insecure=insecure,
        )
        self.settings = dataclasses.replace(settings, **told)
        super().__init__(namespace)
        self._names = self.settings.names
        self._be_new()

    def _be_new(self) -> None:
        """Be a process that nobody has heard of."""
        self._identity = new_id()
        self.address: str = self._names.inbox(self._identity)
        self.packer = Packer(
            self._names, self.address, self.settings.max_message_bytes, self.sealing
        )
        self._session: Session | None = None
        self._windows: dict[str, list[Window]] = {}
        self._keeper: Keeper | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._adjuster: Adjuster | None = None
        # Longer than the lease that looking has renewed.
        self._peers = Peers(self.settings.reply_expires + 10.0)

    # -- connecting ----------------------------------------------------------------------------

    async def connect(self) -> None:
        """
        Connect to the first broker that can be used.

        Raises:
            AccessDeniedError: The login is refused, or the use of what is needed.
            WrongLoopError: It is connected in another event loop.
            TLSError: Certificates do not fit, or nobody speaks TLS there.
            ConnectionLostError: Nobody answers there.
            OptionError: ``credentials`` returns something else than a user and a password, or
                the codec of the namespace needs a key.
        """
        self.check_seal()
        if self._keeper is not None and self._is_alive:
            self.check_usable()
            return
        if not self._is_alive:
            self._be_new()
        self.settings.tell_risks()
        keeper = Keeper(
            self.settings, self._names, self._new_session, self._use, lambda: self.receiver
        )
        try:
            await keeper.start()
        except BaseException:
            self._session = None
            raise
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._adjuster = Adjuster(lambda: self._session, self._all_windows)

    async def disconnect(self) -> None:
        """Let go of the broker; what was delivered here and is not settled goes back to it."""
        if not self._is_alive:
            return
        keeper, self._keeper = self._keeper, None
        if self._adjuster is not None:
            await self._adjuster.stop()
        self._adjuster = None
        session = await keeper.stop() if keeper is not None else None
        self._session = self._loop = None
        self._windows.clear()
        if session is not None:
            await session.close(forget_inbox=True)

    @property
    def _is_alive(self) -> bool:
        """False if the link is that of a parent process, or ended with its event loop."""
        is_over = self._loop is not None and self._loop.is_closed()
        return self._pid == os.getpid() and not is_over

    def _new_session(self) -> Session:
        return Session(
            self.settings,
            self._names,
            self._identity,
            self._take_body,
            self._take_request,
            self._take_returned,
            lambda: self.receiver is not None and self.receiver.is_waiting,
        )

    async def _use(self, session: Session) -> None:
        # Before it listens: what has waited for this process comes at once, and is answered here.
        self._session = session
        await session.listen()
        for queue, windows in list(self._windows.items()):
            for window in windows:
                window.forget()
            await session.serve(queue, windows)

    @property
    def is_linked(self) -> bool:
        """True while there is a link to a broker, as far as is known."""
        return self._session is not None and not self._session.lost.done() and self._is_alive

    def check_usable(self) -> None:
        """
        Raise if this process, or the running event loop, cannot use this connection.

        Raises:
            ForkedError: It is that of the process that this one was forked from.
            WrongLoopError: It was made in another event loop.
        """
        if self._loop is None:
            return
        if self._pid != os.getpid():
            raise ForkedError(self.namespace)
        if self._loop is not asyncio.get_running_loop():
            raise WrongLoopError(self.namespace)

    @property
    def _shown(self) -> str:
        return self.settings.shown_url

    # -- sending -------------------------------------------------------------------------------

    @property
    def is_writable(self) -> bool:
        """False while what is posted only piles up here: the link is away, blocked or full."""
        return self._session is not None and self._session.is_writable

    def post(self, message: Message) -> None:
        """
        Publish a message; while the link is away, requests wait for the router to post again.

        Raises:
            NotConnectedError: It is not connected, or by another process.
            TooLargeError: The broker would not take it.
            AccessDeniedError: The broker does not permit this user to make calls.
        """
        session = self._session
        if session is None:
            raise NotConnectedError(self.namespace)
        if self._pid != os.getpid():
            raise ForkedError(self.namespace)
        if message.kind == WORKERS and session.holds(message.id) and self._withdraw(message):
            return  # neither of them has left, or need to
        parcel = self.packer.request(message)
        if parcel.mandatory and session.access.refused:
            refusal = session.access.refusal(parcel.exchange)
            if refusal is not None:
                raise refusal
        session.publish(parcel)

    def _withdraw(self, message: Message) -> bool:
        """
        Keep a request that has not left from being sent, if the message cancels it.

        Returns:
            False if the message is for workers all the same: another copy of the request has left.
        """
        assert self._session is not None
        cancel = envelopes.decode(bytes(message.body))
        if type(cancel) is not envelopes.Cancel:
            return False
        self._session.withdraw(message.id)
        if not message.recalls:
            return False
        if self.receiver is not None and self._loop is not None:
            # Nobody else will say that it does not run.
            answer = envelopes.encode(envelopes.Cancelled(cancel.id, cancel.message))
            self._loop.call_soon(self.receiver.on_envelope, answer)
        return True

    async def flush(self) -> None:
        """Return when everything posted and settled so far is with the broker."""
        session = self._session
        if session is None or session.lost.done() or self._pid != os.getpid():
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
        self.check_usable()
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
        windows = self._all_windows()
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

    def _all_windows(self) -> list[Window]:
        return [window for pair in self._windows.values() for window in pair]

    def widen(self, queue: str, *, nested: bool, suspended: int) -> None:
        """Let the window grow by the calls that wait for others, and shrink again."""
        windows = self._windows.get(queue)
        if windows is None:
            return
        window = windows[nested]
        window.suspended = suspended
        if window.target > window.size and self._adjuster is not None:
            self._adjuster.stir()

    async def is_served(self, queue: str) -> bool | None:
        """Return whether any worker takes requests from a queue."""
        if self._session is None:
            return None
        name = self._names.work(self._names.key(queue, nested=False))
        count = await self._session.count_consumers(name)
        return None if count is None else count > 0

    def _take_body(self, body: bytes) -> None:
        if self.receiver is not None:
            bring(body, self.sealing, self.address, self.receiver)

    def _take_request(self, session: Session, window: Window, delivered: Delivered) -> None:
        was_there = bool(window.stale) and window.take_stale()
        stale = was_there or self._peers.is_gone(delivered.reply_to or "")
        delivery = AMQPDelivery(self, session, window, delivered, stale, self.sealing)
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
            # Its body is not read: what is sent again is what was kept.
            self.receiver.on_returned(Message(kind, queue, returned.id or "", b""))
            return
        self._peers.note_gone(returned.key)
        for id in ids_of(returned, self.sealing, self.receiver):
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

    def say(self, parcel: Parcel) -> None:
        """Send something on the session of now, which need not be that of the delivery."""
        if self._session is not None:
            self._session.say(parcel)
