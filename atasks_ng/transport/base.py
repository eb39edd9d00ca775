"""
The transport seam: envelopes from callers to workers and back.

What a transport guarantees:

* A posted request reaches at most one consumer of its queue at a time; one that was neither
  finished nor refused reaches another when its consumer is gone, marked ``redelivered``.
* A request to a queue that nobody serves comes back by ``Receiver.on_returned``; it is never
  swallowed.
* Posts to one address by one process arrive in the order they were made.
* ``Delivery.finish`` settles a request only after its answer is out.
* ``post`` and everything of ``Delivery`` never wait; what they could not send before the link
  was lost is made good by the router, which posts again under the same identity.

Two ways to write one:

* Short: define the three methods that raise ``NotImplementedError`` here, ``connect``,
  ``disconnect`` and ``send_request``, and await ``self.callback(name, content)`` on the side
  that performs. That carries calls, errors and cancellation.
* Whole: override ``post``, ``consume`` and ``stop_consuming`` too, as those in ``backends`` do.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any, Protocol

from ..places.namespaces import namespaces
from ..protocol.envelopes import CANCELLING, Cancel, Cancelled, Notice, decode, encode
from ..words.errors import (
    BadMessageError,
    ConnectionLostError,
    DeadlineError,
    NotConnectedError,
    ProtocolError,
)
from ..words.options import check_name

if TYPE_CHECKING:
    from .backends.loopback import LoopbackTransport as LoopbackTransport

# What the predecessor of this library called this error.
RequestTimeoutError = DeadlineError

#: Kinds of route: a queue of root or of nested calls, every worker of a queue, one process.
ROOT, NESTED, WORKERS, PROCESS = "root", "nested", "workers", "process"

#: Stands for every queue of a namespace, where a transport can do that.
ANY_QUEUE = "*"

Callback = Callable[[str, bytes], Awaitable[bytes]]


@dataclasses.dataclass(slots=True)
class Message:
    """
    What is posted.

    Attributes:
        kind: ``"root"`` or ``"nested"`` (a request for a queue), ``"workers"`` (to every worker
            of a queue) or ``"process"`` (to the address of one process).
        target: The queue, or the address.
        id: Identity of the call.
        body: The envelope.
        task: Name of the task.
        ttl_ms: Time after which a request need not be delivered any more, or ``None``.
        context: The caller's context variables; a transport within one process hands it on.
    """

    kind: str
    target: str
    id: str
    body: bytes
    task: str = ""
    ttl_ms: int | None = None
    context: Context | None = None


class Delivery:
    """
    A request in the hands of a worker, until it is settled by one of ``finish``, ``hand_back``
    and ``refuse``.

    Attributes:
        body: The envelope.
        id: Identity of the call as the transport knows it, or ``None``.
        queue: The queue that brought it.
        nested: True if it came as a nested call.
        redelivered: True if it was delivered before.
        stale: True if it may have lain in the queue for long, so that nobody may await it.
        context: The caller's context variables, where a transport hands them on.
    """

    __slots__ = ("body", "context", "id", "nested", "queue", "redelivered", "stale")

    def __init__(
        self,
        body: bytes,
        *,
        id: str | None = None,
        queue: str = "default",
        nested: bool = False,
        redelivered: bool = False,
        stale: bool = False,
        context: Context | None = None,
    ) -> None:
        self.body = body
        self.id = id
        self.queue = queue
        self.nested = nested
        self.redelivered = redelivered
        self.stale = stale
        self.context = context

    @property
    def is_away(self) -> bool:
        """True if the caller is known to have no link just now."""
        return False

    async def find_caller(self) -> bool:
        """Return False if the caller has no link just now, True if it has, or nobody can say."""
        return True

    def finish(self, answer: bytes | None, context: Context | None = None) -> None:
        """Send the last envelope to the caller, or none, and settle the request."""
        raise NotImplementedError

    def say(self, envelope: bytes, context: Context | None = None) -> None:
        """Send an envelope to the caller; the call goes on."""
        raise NotImplementedError

    def hand_back(self) -> None:
        """Put the request back for another worker."""
        raise NotImplementedError

    def refuse(self, reason: str, answer: bytes | None) -> None:
        """Answer if there is somebody to answer, and keep the message where operators find it."""
        self.finish(answer)


class Receiver(Protocol):
    """Who hears what a transport brings: the router."""

    @property
    def is_waiting(self) -> bool:
        """True while a call is awaited or performed, and a dead link must be noticed soon."""

    def on_request(self, delivery: Delivery) -> None:
        """A request for this worker."""

    def on_envelope(self, body: bytes, context: Context | None = None) -> None:
        """An envelope for this process: an answer, a notice, a cancel."""

    def on_returned(self, message: Message) -> None:
        """A request that no queue took."""

    def on_gone(self, id: str) -> None:
        """What was said to the caller of a call came back: there is no such process any more."""

    def on_failed(self, message: Message, error: BaseException) -> None:
        """A request that cannot be carried."""

    def on_link(self, *, up: bool) -> None:
        """The link was lost, or is there again."""

    def on_abandoned(self, error: BaseException) -> None:
        """Requests cannot be carried for now: the calls under way end with this error."""


class Transport:
    """
    Base of all transports. Creating one installs it in its namespace.

    Args:
        namespace: Where to install it.
    """

    #: True if caller and callee are in one process, and the context variables travel as they are.
    shares_context = False

    def __init__(self, namespace: str = "default") -> None:
        self.namespace = check_name("namespace", namespace)
        #: Where other processes reach this one; ``None``: they cannot, and streams do not work.
        self.address: str | None = None
        self.callback: Callback | None = None
        self.receiver: Receiver | None = None
        self._exchanges: dict[str, asyncio.Task[None]] = {}
        namespaces.register(namespace, transport=self)

    # -- what every transport must define ------------------------------------------------------

    async def connect(self) -> None:
        """Be ready to send, and to consume, when this returns."""
        raise NotImplementedError(f"{type(self).__name__} must define connect()")

    async def disconnect(self) -> None:
        """Let go of everything; a transport that is not connected is no error."""
        raise NotImplementedError(f"{type(self).__name__} must define disconnect()")

    async def send_request(self, name: str, content: bytes) -> bytes:
        """
        Carry a request to a worker and return its answer.

        Args:
            name: Name of the task.
            content: The request.

        Returns:
            What ``callback(name, content)`` returned on the worker.

        Raises:
            Exception: Anything; the await that asked for it raises it.
        """
        raise NotImplementedError(f"{type(self).__name__} must define send_request(name, content)")

    # -- for the side that performs ------------------------------------------------------------

    async def register_callback(self, callback: Callback) -> None:
        """Take the coroutine function that performs requests: ``(name, content) -> answer``."""
        self.callback = callback

    async def unregister_callback(self) -> None:
        """Perform no more requests."""
        self.callback = None

    @property
    def is_linked(self) -> bool:
        """True unless the transport knows that its link is away just now."""
        return True

    def check_usable(self) -> None:
        """
        Raise if this process, or the running event loop, cannot use this transport.

        Raises:
            ForkedError: It was connected by the process that this one was forked from.
            WrongLoopError: It was connected in another event loop.
        """

    # -- what the router uses; the short way is built on the methods above ---------------------

    def bind(self, receiver: Receiver) -> None:
        """Tell the receiver, from now on, what this transport brings."""
        self.receiver = receiver

    def post(self, message: Message) -> None:
        """
        Send a message without waiting.

        Raises:
            NotConnectedError: The transport is not connected.
        """
        exchange = self._exchanges.get(message.id)
        if message.kind in (ROOT, NESTED):
            # One that is under way is not sent again: it ends with an answer or an error.
            if exchange is None:
                exchange = asyncio.create_task(self._exchange(message))
                exchange.add_done_callback(lambda done: self._exchanged(message, done))
                self._exchanges[message.id] = exchange
        elif message.kind == WORKERS and exchange is not None:
            # Whatever goes to all workers about a call cancels it.
            text = getattr(decode(message.body), "message", None)
            exchange.cancel(*([] if text is None else [text]))

    async def consume(self, queue: str, window: int) -> None:
        """
        Take requests from a queue, with at most ``window`` of them unsettled.

        Calling it again changes the window. One queue is two: that of root calls, bounded by
        the window, and that of nested calls. ``ANY_QUEUE`` takes what nobody else serves.
        """
        if self.callback is None:
            await self.register_callback(self._perform)

    async def stop_consuming(self) -> None:
        """Take no more requests; those delivered can still be settled."""
        if self.callback is not None:
            await self.unregister_callback()

    def widen(self, queue: str, *, nested: bool, suspended: int) -> None:
        """Say how many delivered calls of a queue wait for others and need not count."""

    async def is_served(self, queue: str) -> bool | None:
        """
        Return whether anybody takes requests from a queue; ``None`` if that cannot be said now.

        For transports that keep a request when nobody serves its queue: the router looks now and
        then, so that callers hear of it.
        """
        return None

    async def flush(self) -> None:
        """Return when everything posted so far has left this process."""

    async def _exchange(self, message: Message) -> None:
        assert self.receiver is not None
        try:
            answer = await self.send_request(message.task, message.body)
            if decode(answer).id != message.id:
                raise BadMessageError("an answer to another request")
            me = asyncio.current_task()
            if me is not None and me.cancelling():
                # The callee heard of the cancel; its notice has no way of its own.
                self.receiver.on_envelope(encode(Notice(message.id, CANCELLING, "")))
            self.receiver.on_envelope(answer)
        except Exception as exc:
            self.receiver.on_failed(message, exc)

    def _exchanged(self, message: Message, exchange: asyncio.Task[None]) -> None:
        self._exchanges.pop(message.id, None)
        if exchange.cancelled() and self.receiver is not None:
            # Nothing more will come: say so, or the caller would wait for a sign of life.
            self.receiver.on_envelope(encode(Cancelled(message.id, None)))

    async def _perform(self, name: str, content: bytes) -> bytes:
        if self.receiver is None:
            raise NotConnectedError(self.namespace)
        delivery = _Exchange(content)
        self.receiver.on_request(delivery)
        while True:
            try:
                return await asyncio.shield(delivery.answer)
            except asyncio.CancelledError as exc:
                if delivery.answer.done():
                    raise
                message = exc.args[0] if exc.args and isinstance(exc.args[0], str) else None
                cancel = Cancel(decode(content).id, "cancel", message)
                self.receiver.on_envelope(encode(cancel))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.namespace!r}>"


class _Exchange(Delivery):
    """A request that is answered by the return of one coroutine."""

    __slots__ = ("answer",)

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def finish(self, answer: bytes | None, context: Context | None = None) -> None:
        if not self.answer.done():
            self.answer.set_result(_nothing_about(self.body) if answer is None else answer)

    def say(self, envelope: bytes, context: Context | None = None) -> None:
        """Notices have no way back, and nothing depends on them."""

    def hand_back(self) -> None:
        if not self.answer.done():
            self.answer.set_exception(ConnectionError("the worker is stopping"))


def _nothing_about(request: bytes) -> bytes:
    """Return an envelope that changes nothing: somebody awaits the return of a coroutine."""
    try:
        return encode(Notice(decode(request).id, "settled", ""))
    except ProtocolError:
        return b""


def get_transport(namespace: str = "default") -> Transport | None:
    """Return the transport of a namespace, or ``None`` if none was created."""
    return namespaces.get(namespace).transport


def __getattr__(name: str) -> Any:
    # The loopback transport is documented under this module; importing it above would be a cycle.
    if name == "LoopbackTransport":
        from .backends.loopback import LoopbackTransport

        return LoopbackTransport
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "ConnectionLostError",
    "Delivery",
    "LoopbackTransport",
    "Message",
    "Receiver",
    "RequestTimeoutError",
    "Transport",
    "get_transport",
]
