"""
The transport within one event loop: same rules as over a broker, and nothing to install.

Envelopes are bytes here too, so that what works on loopback works over a network. All loopback
transports of one namespace and one event loop meet: several workers can serve side by side.

With ``copy=False`` there are no envelopes: the router that performs what it calls awaits the body
itself, and this transport only says that it may, and is asked for nothing.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import Context
from urllib.parse import parse_qsl

from ...protocol.pieces import Body
from ...words.errors import BadURLError, NotConnectedError, OptionError, WrongLoopError
from ..base import ANY_QUEUE, NESTED, PROCESS, ROOT, WORKERS, Delivery, Message, Transport
from ..urls import flag, mask


class LoopbackTransport(Transport):
    """
    Carry calls to workers in the same event loop.

    Args:
        namespace: Where to install it.
        url: ``loopback://``, or ``loopback://?copy=0``; what the URL says counts.
        max_suspended: How many root calls may be suspended, waiting for others, beside those
            that count against the window; the bound of the worker's memory.
        copy: False: arguments, results and exceptions are the very objects, and the body runs in
            the asyncio task of its caller, as if the function were not decorated: for tests that
            need no encoding. Then codec, ``max_payload_bytes``, queues, ``concurrency``,
            ``max_in_flight``, ``ack``, ``max_attempts`` and ``window`` mean nothing, and closing
            ends no call. Both who calls and who performs must say so; if one does not, or nobody
            performs yet, values are copied.

    Raises:
        BadURLError: Its query has another option than ``copy``, or no such value.
        OptionError: ``copy`` is no flag.
    """

    shares_context = True
    is_linked = False

    def __init__(
        self,
        namespace: str = "default",
        url: str = "loopback://",
        *,
        max_suspended: int = 1000,
        copy: bool = True,
    ) -> None:
        if type(copy) is not bool:
            raise OptionError(f"copy={copy!r}: give True or False")
        told = _copy_of(url)
        super().__init__(namespace)
        self.url = url
        self.copies = copy if told is None else told
        self.address = f"loopback-{id(self)}"
        self.max_suspended = max_suspended
        self._hub: _Hub | None = None

    async def connect(self) -> None:
        """
        Join the other loopback transports of this namespace and loop.

        Raises:
            WrongLoopError: It is connected in another event loop.
        """
        if self._hub is not None and not self._hub.is_over:
            self.check_usable()
            return
        self._hub = _Hub.of(asyncio.get_running_loop(), self.namespace)
        self._hub.transports.add(self)
        self.is_linked = True

    def check_usable(self) -> None:
        """
        Raise if it cannot be used from here.

        Raises:
            WrongLoopError: It is connected in another event loop.
            NotConnectedError: It was connected in one that has ended.
        """
        hub = self._hub
        if hub is not None and hub.is_over:
            raise NotConnectedError(self.namespace)
        if hub is not None and not hub.is_of(asyncio.get_running_loop()):
            raise WrongLoopError(self.namespace)

    async def disconnect(self) -> None:
        """Leave; what was delivered here and is not settled goes to another worker."""
        hub, self._hub = self._hub, None
        self.is_linked = False
        if hub is not None:
            hub.transports.discard(self)
            hub.drop_consumers(self, requeue=True)

    def post(self, message: Message) -> None:
        """Hand a message to whom it is for, in the next step of the loop."""
        if self._hub is None:
            raise NotConnectedError(self.namespace)
        self._hub.post(self, message)

    async def consume(self, queue: str, window: int) -> None:
        """Take requests from a queue."""
        if self._hub is None:
            raise NotConnectedError(self.namespace)
        self._hub.consume(self, queue, window)

    async def stop_consuming(self) -> None:
        """Take no more requests; those delivered can still be settled."""
        if self._hub is not None:
            self._hub.drop_consumers(self, requeue=False)

    def widen(self, queue: str, *, nested: bool, suspended: int) -> None:
        """Let the window grow by the calls that wait for others, and shrink again."""
        if self._hub is not None:
            extra = suspended if nested else min(suspended, self.max_suspended)
            self._hub.widen(self, queue, nested, extra)


def _copy_of(url: str) -> bool | None:
    """Return what the query of a URL says about copies, or ``None``."""
    told: bool | None = None
    for name, value in parse_qsl(url.partition("?")[2], keep_blank_values=True):
        if name != "copy":
            raise BadURLError(mask(url), f"it has no option {name!r}: the only one is copy")
        try:
            copy = flag(value)
        except ValueError as exc:
            raise BadURLError(mask(url), f"copy={value!r}: {exc}") from None
        if told not in (None, copy):
            raise BadURLError(mask(url), "it gives different values of copy")
        told = copy
    return told


class _Consumer:
    """One transport that takes requests from one queue."""

    __slots__ = ("extra", "stopped", "transport", "unsettled", "window")

    def __init__(self, transport: LoopbackTransport, window: int) -> None:
        self.transport = transport
        self.window = window
        #: How many calls may be held beside the window, for each queue they came by.
        self.extra: dict[str, int] = {}
        self.stopped = False
        self.unsettled: dict[_LoopbackDelivery, None] = {}

    @property
    def has_room(self) -> bool:
        return len(self.unsettled) < self.window + sum(self.extra.values())


class _Queue:
    """Requests that nobody has taken yet, and those who take them in turn."""

    __slots__ = ("consumers", "messages")

    def __init__(self) -> None:
        self.messages: deque[tuple[LoopbackTransport, Message, float | None, bool]] = deque()
        self.consumers: deque[_Consumer] = deque()


class _Hub:
    """What a broker is between machines."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # A strong reference would keep the loop, the key of the table, alive for ever.
        self._loop = weakref.proxy(loop)
        self._loop_ref = weakref.ref(loop)
        self._queues: dict[tuple[str, bool], _Queue] = {}
        self.transports: set[LoopbackTransport] = set()
        #: Who has been handed a request and has not settled it, by the identity of the call.
        self._holders: dict[str, LoopbackTransport] = {}
        self._told_now: deque[tuple[LoopbackTransport, bytes]] = deque()

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop, namespace: str) -> _Hub:
        hubs = _hubs.setdefault(loop, {})
        return hubs.setdefault(namespace, cls(loop))

    @property
    def is_over(self) -> bool:
        """True if its event loop runs no more."""
        loop = self._loop_ref()
        return loop is None or loop.is_closed()

    def is_of(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Return True if an event loop is the one that it belongs to."""
        return self._loop_ref() is loop

    def post(self, sender: LoopbackTransport, message: Message) -> None:
        if message.kind in (ROOT, NESTED):
            self._post_request(sender, message)
            return
        body = bytes(message.body)
        if message.kind == WORKERS:
            holder = self._holders.get(message.id)
            if holder is not None:
                self._tell_now(holder, body)
            for consumer in self._queue(self._served(message.target), nested=False).consumers:
                if consumer.transport is not holder:
                    self._tell(consumer.transport, body)
        elif message.kind == PROCESS:
            for transport in self.transports:
                if transport.address == message.target:
                    self._tell(transport, body, message.context)

    def consume(self, transport: LoopbackTransport, queue: str, window: int) -> None:
        for nested in (False, True):
            place = self._queue(queue, nested=nested)
            for consumer in place.consumers:
                if consumer.transport is transport:
                    consumer.window = window
                    break
            else:
                place.consumers.append(_Consumer(transport, window))
            self._deliver(queue, nested)

    def widen(self, transport: LoopbackTransport, queue: str, nested: bool, extra: int) -> None:
        served_by = self._served(queue)
        for consumer in self._queue(served_by, nested=nested).consumers:
            if consumer.transport is transport:
                consumer.extra[queue] = extra
        self._deliver(served_by, nested)

    def drop_consumers(self, transport: LoopbackTransport, *, requeue: bool) -> None:
        for (name, nested), place in self._queues.items():
            for consumer in [each for each in place.consumers if each.transport is transport]:
                consumer.stopped = True
                place.consumers.remove(consumer)
                if requeue:
                    for delivery in list(consumer.unsettled):
                        delivery.lose()
            if not place.consumers:
                self._return_all(place)
            self._deliver(name, nested)

    def _post_request(self, sender: LoopbackTransport, message: Message) -> None:
        nested = message.kind == NESTED
        queue = self._served(message.target)
        place = self._queue(queue, nested=nested)
        if not place.consumers:
            self._loop.call_soon(self._return, sender, message)
            return
        expires = None
        if message.ttl_ms is not None:
            expires = self._loop.time() + message.ttl_ms / 1000
        place.messages.append((sender, message, expires, False))
        self._deliver(queue, nested)

    def _served(self, queue: str) -> str:
        """Return the queue by which requests for a queue are taken: it, or that for any."""
        place = self._queues.get((queue, False))
        return queue if place is not None and place.consumers else ANY_QUEUE

    def requeue(self, delivery: _LoopbackDelivery) -> None:
        place = self._queue(delivery.served_by, nested=delivery.nested)
        if not place.consumers:
            self._return(delivery.sender, delivery.message)
            return
        place.messages.appendleft((delivery.sender, delivery.message, None, True))
        self._deliver(delivery.served_by, delivery.nested)

    def settle(self, delivery: _LoopbackDelivery) -> None:
        delivery.consumer.unsettled.pop(delivery, None)
        self._holders.pop(delivery.message.id, None)
        if not delivery.consumer.stopped:
            self._deliver(delivery.served_by, delivery.nested)

    def answer(self, to: LoopbackTransport, body: bytes, context: Context | None) -> bool:
        self._tell(to, body, context)
        return to in self.transports

    def later(self, function: Callable[[str], None], id: str) -> None:
        self._loop.call_soon(function, id)

    def _deliver(self, name: str, nested: bool) -> None:
        place = self._queue(name, nested=nested)
        while place.messages:
            consumer = self._next_consumer(place)
            if consumer is None:
                return
            sender, message, expires, again = place.messages.popleft()
            if expires is not None and expires <= self._loop.time():
                continue
            delivery = _LoopbackDelivery(self, consumer, sender, message, name, again)
            consumer.unsettled[delivery] = None
            self._loop.call_soon(self._hand_over, consumer, delivery)

    def _next_consumer(self, place: _Queue) -> _Consumer | None:
        for _ in range(len(place.consumers)):
            consumer = place.consumers[0]
            place.consumers.rotate(-1)
            if consumer.has_room:
                return consumer
        return None

    def _hand_over(self, consumer: _Consumer, delivery: _LoopbackDelivery) -> None:
        if delivery in consumer.unsettled and consumer.transport.receiver is not None:
            self._holders[delivery.message.id] = consumer.transport
            consumer.transport.receiver.on_request(delivery)

    def _return_all(self, place: _Queue) -> None:
        while place.messages:
            sender, message, _, _ = place.messages.popleft()
            self._loop.call_soon(self._return, sender, message)

    @staticmethod
    def _return(sender: LoopbackTransport, message: Message) -> None:
        if sender.receiver is not None:
            sender.receiver.on_returned(message)

    def _tell(self, to: LoopbackTransport, body: bytes, context: Context | None = None) -> None:
        if to.receiver is not None:
            self._loop.call_soon(to.receiver.on_envelope, body, context)

    def _tell_now(self, to: LoopbackTransport, body: bytes) -> None:
        """
        Tell at once: a cancel is as quick as where one asyncio task awaits another.

        What that makes others post waits here for its turn, so that a deep tree of calls does not
        become a deep stack.
        """
        self._told_now.append((to, body))
        if len(self._told_now) > 1:
            return
        while self._told_now:
            to, body = self._told_now[0]
            try:
                if to.receiver is not None:
                    to.receiver.on_envelope(body)
            finally:
                self._told_now.popleft()

    def _queue(self, name: str, *, nested: bool) -> _Queue:
        key = (name, nested)
        try:
            return self._queues[key]
        except KeyError:
            return self._queues.setdefault(key, _Queue())


_hubs: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Hub]]
_hubs = weakref.WeakKeyDictionary()


class _LoopbackDelivery(Delivery):
    __slots__ = ("_hub", "_settled", "consumer", "message", "sender", "served_by")

    def __init__(
        self,
        hub: _Hub,
        consumer: _Consumer,
        sender: LoopbackTransport,
        message: Message,
        served_by: str,
        redelivered: bool,
    ) -> None:
        super().__init__(
            bytes(message.body),
            id=message.id,
            queue=message.target,
            nested=message.kind == NESTED,
            redelivered=redelivered,
            context=message.context,
        )
        self._hub = hub
        self._settled = False
        #: The queue that brought it: its own, or the one for any.
        self.served_by = served_by
        self.consumer = consumer
        self.sender = sender
        self.message = message

    def finish(self, answer: Body | None, context: Context | None = None) -> None:
        if self._settle() and answer is not None:
            self._hub.answer(self.sender, bytes(answer), context)

    def say(self, envelope: Body, context: Context | None = None) -> None:
        receiver = self.consumer.transport.receiver
        if not self._hub.answer(self.sender, bytes(envelope), context) and receiver is not None:
            self._hub.later(receiver.on_gone, self.message.id)

    def hand_back(self) -> None:
        if self._settle():
            self._hub.requeue(self)

    def lose(self) -> None:
        """The worker is gone: another one gets the request."""
        self.hand_back()

    def _settle(self) -> bool:
        if self._settled:
            return False
        self._settled = True
        self._hub.settle(self)
        return True
