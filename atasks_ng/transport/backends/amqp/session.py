"""
One life of the link: two connections, their channels and the topology, until one is lost.

Why two, and what goes where. A broker short of memory or disk reads nothing more from a connection
that has published, its acknowledgements included. So:

* One connection publishes requests, cancels, and whatever else a caller sends: channel ``out``.
* The other consumes. A process that only calls never publishes there, and its acknowledgements
  pass whatever the state of the broker: channel ``inbox``.
* A worker answers on the channel that brings the requests, and acknowledges there: channel
  ``work``. The broker carries out what one channel asks for in order, so the answer is safe when
  the acknowledgement is, and no confirmation is needed between the two. On two channels, the one
  that carries the answers could be lost after an acknowledgement has passed on the other, and the
  answer with it. The price: under an alarm a worker's acknowledgements wait with its answers. They
  would do so anyway, since each follows its answer.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import aiormq
from aiormq.channel import Channel
from aiormq.exceptions import ChannelAccessRefused

from ....words.errors import ConnectionLostError
from .access import Access
from .declaring import DEAD_QUEUE, EXCHANGES, Arguments, Declarer
from .dialing import Target
from .lane.base import OnBody, OnReturned
from .lane.patience import is_answered
from .links import Link
from .parcels import Delivered, Parcel
from .refusals import not_permitted, reason, translated
from .settings import Names, Settings
from .windows import Window

logger = logging.getLogger("atasks_ng.amqp")

# The broker sends this many replies ahead of their acknowledgement.
_INBOX_PREFETCH = 5000

# This share of a window may be requests that were answered and whose acknowledgement waits for
# others; and no more of them, since all are asked about when the link is lost.
_SLACK_SHARE = 8
_MOST_SLACK = 50

T = TypeVar("T")


class Session:
    """
    Everything that dies with the link.

    Args:
        settings: How to treat the broker.
        names: What things are called there.
        inbox: Identity of this process, part of its address.
        on_body: Called with each envelope for this process.
        on_request: Called with each request.
        on_returned: Called with each message that no queue took.
        is_waiting: True while somebody waits for what the link brings.

    Attributes:
        lost: Done when the session is of no use any more; its result says why.
        access: What this user may not publish to; there once it is open.
        is_refused: True if it was lost because something is not permitted.
    """

    def __init__(
        self,
        settings: Settings,
        names: Names,
        inbox: str,
        on_body: OnBody,
        on_request: Callable[[Session, Window, Delivered], None],
        on_returned: OnReturned,
        is_waiting: Callable[[], bool],
    ) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.access: Access
        self.is_refused = False
        self.address = names.inbox(inbox)
        self._settings = settings
        self._names = names
        self._on_body = on_body
        self._on_request = on_request
        self._on_returned = on_returned
        self._is_waiting = is_waiting
        self._links: list[Link] = []
        self._windows_lock = asyncio.Lock()
        self._bound: set[str] = set()
        self._inbox_tag = "inbox"
        self._watchers: list[asyncio.Future[Any]] = []
        self._stopping: asyncio.Future[None] | None = None
        self._slack = _MOST_SLACK

    # -- opening and closing -------------------------------------------------------------------

    async def open(self, target: Target, suspects: Iterable[str] = ()) -> None:
        """
        Dial and declare; nothing comes before :meth:`listen`.

        Args:
            target: Whom to dial.
            suspects: Exchanges that may be forbidden to this user: ``access`` will know.

        Raises:
            ConnectionLostError: It cannot be done; the sentence says why.
        """
        self._target = target
        await self._begin(self._open(suspects))

    async def listen(self) -> None:
        """
        Take what comes to this process, and what has waited for it.

        Raises:
            ConnectionLostError: It cannot be done; the sentence says why.
        """
        await self._begin(self._inbox.listen(self.address, self._inbox_tag, self._on_body))

    async def _begin(self, work: Awaitable[None]) -> None:
        target = self._target
        try:
            async with asyncio.timeout(self._settings.request_timeout):
                await work
        except TimeoutError:
            await self.close()
            seconds = self._settings.request_timeout
            raise ConnectionLostError(
                f"{target.shown} did not answer within {seconds:g} s"
            ) from None
        except ConnectionLostError:
            await self.close()
            raise
        except (aiormq.exceptions.AMQPError, OSError, RuntimeError) as exc:
            await self.close()
            raise translated(exc, target) from exc
        except BaseException:
            await self.close()
            raise

    async def _open(self, suspects: Iterable[str]) -> None:
        publishing = await self._dial("publishes")
        consuming = await self._dial("consumes")
        # On the one that publishes: a broker short of memory reads nothing more from such.
        self.access = Access(Declarer(publishing, self._target.user))
        self._declarer = Declarer(consuming, self._target.user)
        self._out = await publishing.lane(self._on_returned, publishes=True)
        self._inbox = await consuming.lane(self._on_returned, publishes=False)
        self._work = await consuming.lane(self._on_returned, publishes=True)
        for lane in (self._out, self._inbox, self._work):
            self._watch(lane.channel, "a channel was closed")
            lane.channel.on_consumer_cancel_callbacks.add(self._on_consumer_cancelled)
        await self._declare()
        await self._inbox.channel.basic_qos(prefetch_count=_INBOX_PREFETCH)
        await self.access.look(suspects)

    async def _dial(self, role: str) -> Link:
        link = Link(self._settings, role, self._target.url)
        self._links.append(link)
        await link.open()
        link.watch(self._is_waiting, self._fail)
        self._watch(link.connection, "the connection was lost")
        return link

    async def _declare(self) -> None:
        declarer, names = self._declarer, self._names
        for part, kind in EXCHANGES.items():
            await declarer.exchange(f"{names.base}.{part}", kind)
        # Durable and expiring, not exclusive: replies that come while the link is away are kept.
        expires: Arguments = {"x-expires": self._settings.reply_expires * 1000}
        await declarer.queue(self.address, expires)
        await declarer.bind(self.address, names.replies, self.address)

    async def close(self, *, forget_inbox: bool = False) -> None:
        """Let go of everything; with ``forget_inbox``, of the address of this process too."""
        for watcher in self._watchers:
            watcher.cancel()
        if forget_inbox and not self.lost.done():
            try:
                # Deleting a queue that is consumed would look like a fault of the broker.
                async with asyncio.timeout(1.0):
                    await self._inbox.cancel(self._inbox_tag)
                    await self._inbox.channel.queue_delete(self.address)
            except (aiormq.exceptions.AMQPError, OSError, RuntimeError, TimeoutError):
                logger.debug("%s expires by itself", self.address)
        self._end("closed")
        if self._stopping is not None:
            self._stopping.cancel()
        if hasattr(self, "access"):
            self.access.close()
        for name in ("_out", "_inbox", "_work"):
            if hasattr(self, name):
                await getattr(self, name).close()
        await asyncio.gather(*(link.close() for link in self._links))

    def _fail(self, reason: str) -> None:
        self._end(reason)
        for link in self._links:
            link.give_up(reason)

    def _end(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)

    def _watch(self, thing: aiormq.Connection | Channel, what: str) -> None:
        closing = thing.closing

        def gone(future: asyncio.Future[Any]) -> None:
            if future.cancelled():
                return
            exc = future.exception()
            if isinstance(exc, ChannelAccessRefused):
                self.is_refused = True
            self._end(f"{what}: {reason(exc)}" if exc else what)

        closing.add_done_callback(gone)
        self._watchers.append(closing)

    def _on_consumer_cancelled(self, frame: Any) -> None:
        self._end(f"the broker cancelled consumer {frame.consumer_tag!r}")

    async def _ask(self, request: Awaitable[T]) -> T:
        """
        Wait for what the broker answers; if it does not, the session is lost.

        While it takes nothing, because it is short of memory, it need not answer.

        Raises:
            TimeoutError: It did not.
        """
        asked = asyncio.ensure_future(request)
        limit = self._settings.request_timeout
        try:
            if not await is_answered(asked, limit, lambda: self._work.is_blocked):
                self._end(f"the broker did not answer within {limit:g} s")
                raise TimeoutError
            return await asked
        finally:
            asked.cancel()

    # -- requests ------------------------------------------------------------------------------

    async def serve(self, queue: str, windows: list[Window]) -> None:
        """
        Declare the queues of requests and open their windows.

        Raises:
            AccessDeniedError: This user may not take requests from the queue, or not answer.
        """
        if (refusal := self.access.refusal(self._names.replies)) is not None:
            raise refusal
        await self._ask(self._declare_work(queue, windows))
        self._slack = min([self._slack, *(window.base // _SLACK_SHARE for window in windows)])
        self._work.set_slack(self._slack)
        for window in windows:
            await self.adjust(window)

    async def _declare_work(self, queue: str, windows: list[Window]) -> None:
        declarer, names = self._declarer, self._names
        arguments: Arguments = {"x-queue-type": self._settings.queue_type}
        for window in windows:
            key = names.key(queue, nested=window.nested)
            name = names.work(key)
            declared = await declarer.queue(name, arguments)
            window.stale = declared.message_count or 0
            await declarer.bind(name, names.requests, key)
        for key in {queue, self.address} - self._bound:
            self._bound.add(key)
            await declarer.bind(self.address, names.control, key)
        await declarer.queue(names.dead, DEAD_QUEUE)
        await declarer.bind(names.dead, names.dead)

    async def adjust(self, window: Window, *, shrink: bool = False) -> None:
        """Add the consumers that a window lacks; cancel those that it does not need."""
        # One at a time: prefetch is a setting of the channel that the next consumer inherits.
        async with self._windows_lock:
            while (consumer := window.grow()) is not None:
                await self._ask(self._consume(window, consumer.tag, consumer.prefetch))
            if shrink:
                for shut in window.shrink():
                    await self._ask(self._work.cancel(shut.tag))

    async def _consume(self, window: Window, tag: str, prefetch: int) -> None:
        name = self._names.work(self._names.key(window.queue, nested=window.nested))
        await self._work.channel.basic_qos(prefetch_count=prefetch)
        take = functools.partial(self._on_request, self, window)
        try:
            await self._work.consume(name, tag, take)
        except ChannelAccessRefused as exc:
            what = f"consume from queue {name!r}"
            raise not_permitted(self._target.user, what, "'read'") from exc

    async def count_consumers(self, queue: str) -> int | None:
        """
        Return how many take from a queue, 0 if there is no such queue; ``None``: no answer.

        Asking renews the lease of a queue that expires.
        """
        if self.lost.done() or self._work.is_blocked:
            return None
        try:
            return await self._ask(self._count(queue))
        except (aiormq.exceptions.AMQPError, OSError, RuntimeError, TimeoutError) as exc:
            logger.debug("asking for the consumers of %s: %r", queue, exc)
            return None

    async def _count(self, queue: str) -> int:
        # A channel of its own: the broker closes it if there is no such queue.
        channel = await self._links[-1].channel()
        try:
            return (await channel.queue_declare(queue, passive=True)).consumer_count or 0
        except aiormq.exceptions.ChannelNotFoundEntity:
            return 0
        finally:
            if not channel.is_closed:
                await channel.close()

    async def stop_serving(self, windows: list[Window]) -> None:
        """
        Cancel the consumers; what was delivered can still be settled.

        Raises:
            TimeoutError: The broker did not say that it has; that it was asked to still holds.
        """
        self._stopping = asyncio.ensure_future(self._cancel(windows))
        # Not cancelled after the time: aiormq would close the channel, and with it what runs.
        done, _ = await asyncio.wait([self._stopping], timeout=self._settings.request_timeout)
        if not done:
            raise TimeoutError
        await self._stopping

    async def _cancel(self, windows: list[Window]) -> None:
        async with self._windows_lock:
            for window in windows:
                for tag in window.tags:
                    await self._work.cancel(tag)
                window.forget()

    # -- messages ------------------------------------------------------------------------------

    @property
    def is_writable(self) -> bool:
        """False while what is published only piles up in this process."""
        return not self.lost.done() and self._out.is_writable

    def publish(self, parcel: Parcel) -> None:
        """Publish as a caller, or drop it if the session is lost."""
        if not self.lost.done() and parcel.exchange not in self.access.refused:
            self._out.publish(parcel)

    def holds(self, id: str) -> bool:
        """Return True if a request could not be sent yet."""
        return not self.lost.done() and self._out.holds(id)

    def withdraw(self, id: str) -> None:
        """Do not send a request that could not be sent yet."""
        self._out.withdraw(id)

    def say(self, parcel: Parcel) -> None:
        """Publish as a worker, before whatever is acknowledged later."""
        if not self.lost.done() and parcel.exchange not in self.access.refused:
            self._work.publish(parcel)

    def answer(self, tag: int, parcel: Parcel) -> bool:
        """
        Publish as a worker, and then acknowledge the request.

        Returns:
            False if that cannot be done, since the session is lost.
        """
        if self.lost.done():
            return False
        self._work.answer(tag, parcel)
        return True

    def settle(self, tag: int) -> None:
        """Acknowledge a request; of a session that is lost, the broker has it back already."""
        if not self.lost.done():
            self._work.ack(tag)

    def requeue(self, tag: int) -> None:
        """Put a request back into its queue."""
        if not self.lost.done():
            self._work.requeue(tag)

    async def flush(self) -> None:
        """Return when the broker has carried out everything asked for so far."""
        await asyncio.gather(self._out.flush(), self._work.flush())
