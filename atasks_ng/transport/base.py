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

Envelopes leave the process sealed. The short form has that done for it; a whole one calls
``self.sealing`` for each envelope that leaves or comes, and says ``seals = True``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ..places.namespaces import namespaces
from ..protocol.envelopes import CANCELLING, Cancel, Cancelled, Notice, Refusal, decode, encode
from ..words.errors import (
    BadMessageError,
    ConnectionLostError,
    DeadlineError,
    NotConnectedError,
    UnsupportedError,
)
from ..words.options import check_name
from .exchanges import Exchange
from .messages import Delivery, Message, Receiver
from .sealing import Sealing

if TYPE_CHECKING:
    from .backends.loopback import LoopbackTransport as LoopbackTransport

# What the predecessor of this library called this error.
RequestTimeoutError = DeadlineError

#: Kinds of route: a queue of root or of nested calls, every worker of a queue, one process.
ROOT, NESTED, WORKERS, PROCESS = "root", "nested", "workers", "process"

#: Stands for every queue of a namespace, where a transport can do that.
ANY_QUEUE = "*"

Callback = Callable[[str, bytes], Awaitable[bytes]]


class Transport:
    """
    Base of all transports. Creating one installs it in its namespace.

    Args:
        namespace: Where to install it.
    """

    #: True if caller and callee are in one process, and the context variables travel as they are.
    shares_context = False

    #: False if caller and callee may have the very same objects, so that a router that performs
    #: what it calls need not encode anything.
    copies = True

    #: True if large envelopes are taken in pieces, see :mod:`~atasks_ng.protocol.pieces`.
    takes_pieces = False

    #: True if envelopes leave with the seal of the codec. A class with a :meth:`post` of its own
    #: says so itself.
    seals = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "post" in cls.__dict__ and "seals" not in cls.__dict__:
            cls.seals = False

    def __init__(self, namespace: str = "default") -> None:
        self.namespace = check_name("namespace", namespace)
        #: Seals what leaves, opens what comes.
        self.sealing = Sealing(self.namespace)
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

    def check_seal(self) -> None:
        """
        Raise if what the codec of the namespace makes must not leave the process by this transport.

        Raises:
            OptionError: The codec needs a key.
            UnsupportedError: This transport carries no signatures.
        """
        if not self.shares_context and self.sealing.signs and not self.seals:
            raise UnsupportedError(
                f"{type(self).__name__} carries envelopes without their signatures: have its "
                "post() seal them by self.sealing, and say seals = True in the class"
            )

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
            text = getattr(decode(bytes(message.body)), "message", None)
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
        sealing, here = self.sealing, self.address or ""
        try:
            request = sealing.request(message.body, here)
            sealed = await self.send_request(message.task, bytes(request))
            if not isinstance(sealed, (bytes, bytearray, memoryview)):
                raise BadMessageError(f"send_request() returned {type(sealed).__name__}, not bytes")
            answer: bytes | memoryview = sealing.open_message(sealed, here)
            envelope = decode(answer)
            if type(envelope) is Refusal and not envelope.id:
                answer = encode(envelope._replace(id=message.id))
            elif envelope.id != message.id:
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
        delivery = Exchange(content, self.sealing, self.address or "")
        self.receiver.on_request(delivery)
        while True:
            try:
                return await asyncio.shield(delivery.answer)
            except asyncio.CancelledError as exc:
                if delivery.answer.done():
                    raise
                message = exc.args[0] if exc.args and isinstance(exc.args[0], str) else None
                cancel = Cancel(decode(delivery.body).id, "cancel", message)
                self.receiver.on_envelope(encode(cancel))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.namespace!r}>"


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
