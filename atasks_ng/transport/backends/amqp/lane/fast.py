"""
The fast lane: frames of data built and parsed here, on a channel that aiormq opened.

No task, future, queue or lock for a message: what arrives is handed over within the loop's
``data_received``, and what is sent goes out with everything else of one tick of the loop.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging

from aiormq.channel import Channel

from ..parcels import Acks, Delivered, Parcel, Returned, join
from . import frames
from .base import (
    PROBE_EXCHANGE,
    RETRY_AFTER,
    UNCONFIRMED,
    Lane,
    OnBody,
    OnDelivered,
    OnReturned,
)
from .confirms import Unconfirmed
from .frames import Template
from .late import Late
from .wire import Wire

logger = logging.getLogger("atasks_ng.amqp")

# Bodies up to this size share a message with others to the same address, and the message's size.
# 64 KiB: what else fits into one frame, and is not worth a copy.
_JOINED_BODY_BYTES = 4 * 1024
_JOINED_BYTES = 64 * 1024

# What is listened to is acknowledged after so many messages, so many bytes, or so many seconds,
# whichever comes first.
_HEARD_MESSAGES = 500
_HEARD_BYTES = 1024 * 1024
_HEARD_SECONDS = 0.2

# A request that was answered is acknowledged after as many as `slack` says, or so many seconds: it
# takes room in a window until then.
_ANSWERED_SECONDS = 0.005

# Templates that are kept: one for each address that is answered, and for each queue that is called.
_MAX_TEMPLATES = 1000

_TemplateKey = tuple[str, str, str | None, int, bool, bool]


async def _not_ours(message: object) -> None:
    """Stand in for a consumer towards aiormq, which sees no delivery of a data channel."""


class FastLane(Lane):
    """
    The data path of one channel, without aiormq.

    Args:
        channel: The channel, as aiormq opened it, with confirmations if these are wanted.
        wire: The socket of its connection.
        on_returned: Called with each message that came back.
        frame_max: Largest frame that was agreed upon, in bytes; 0 is no limit.
        timeout: Longest wait in seconds for a confirmation.
    """

    def __init__(
        self,
        channel: Channel,
        wire: Wire,
        on_returned: OnReturned,
        frame_max: int,
        timeout: float,
    ) -> None:
        super().__init__(channel, on_returned)
        self._wire = wire
        self._number = channel.number
        self._body_limit = frames.body_limit(frame_max)
        self._small = min(frames.SMALL_BODY_BYTES, self._body_limit)
        self._senders = frames.Senders()
        self._templates: dict[_TemplateKey, Template] = {}
        self._consumers: dict[bytes, OnDelivered] = {}
        self._listeners: dict[bytes, OnBody] = {}
        self._acks = Acks()
        # By address.
        self._joined: dict[str, _Joined] = {}
        # Requests that cannot be sent just now, by their identity.
        self._held: dict[str, Parcel] = {}
        # What was listened to, up to this tag, and what was answered.
        self._heard_tag = 0
        self._heard = Late(wire, _HEARD_MESSAGES, _HEARD_BYTES, _HEARD_SECONDS)
        self._answered = Late(wire, 0, _HEARD_BYTES, _ANSWERED_SECONDS)
        self._is_open = wire.is_open
        self._unconfirmed: Unconfirmed | None = None
        if channel.publisher_confirms:
            self._unconfirmed = Unconfirmed(self._take_verdict, self._find_stuck, timeout)
        wire.attach(self._number, self)

    def set_slack(self, requests: int) -> None:
        self._answered.messages = requests

    @property
    def is_writable(self) -> bool:
        return self._wire.is_writable

    @property
    def is_blocked(self) -> bool:
        return self._wire.is_blocked

    # -- sending -------------------------------------------------------------------------------

    def publish(self, parcel: Parcel) -> None:
        if not self._is_open:
            return
        if self._wire.is_held and parcel.reply_to:
            # Its caller may give it up before it can be sent: then it must not be.
            self._held[parcel.id] = parcel
            return
        self._put(parcel, None)
        self._wire.stir()

    def holds(self, id: str) -> bool:
        return id in self._held

    def withdraw(self, id: str) -> None:
        self._held.pop(id, None)

    def answer(self, tag: int, parcel: Parcel) -> None:
        if self._is_open:
            self._put(parcel, tag)
            if self._unconfirmed is None:
                # Acknowledgements are written after all messages.
                self._settle(tag)
            self._wire.stir()

    def ack(self, tag: int) -> None:
        if self._is_open:
            self._settle(tag)
            self._wire.stir()

    def _settle(self, tag: int) -> None:
        self._acks.settle(tag)
        self._answered.add()

    def requeue(self, tag: int) -> None:
        if self._is_open:
            # Before all acknowledgements: one of many must not cover what goes back.
            self._acks.skip(tag)
            self._wire.put(frames.requeue(self._number, tag))
            self._wire.stir()

    def _put(self, parcel: Parcel, tag: int | None) -> None:
        """Have a message written, alone or with others; ``tag`` is the delivery it answers."""
        if parcel.joins and len(parcel.body) <= _JOINED_BODY_BYTES:
            self._join(parcel, tag)
            return
        if parcel.key in self._joined:
            # What goes to one address keeps its order.
            self._put_joined(parcel.key)
        self._put_message(parcel)
        if self._unconfirmed is not None:
            self._unconfirmed.add([(parcel, tag)])

    def _join(self, parcel: Parcel, tag: int | None) -> None:
        joined = self._joined.get(parcel.key)
        if joined is None:
            joined = self._joined[parcel.key] = _Joined()
        joined.parcels.append((parcel, tag))
        joined.size += len(parcel.body)
        if joined.size >= _JOINED_BYTES:
            self._put_joined(parcel.key)

    def put_joined(self) -> None:
        """Have the messages written that were gathered, or held; the wire calls this."""
        if self._held:
            held, self._held = self._held, {}
            for parcel in held.values():
                self._put(parcel, None)
        for address in list(self._joined):
            self._put_joined(address)

    def _put_joined(self, address: str) -> None:
        parcels = self._joined.pop(address).parcels
        first = parcels[0][0]
        if len(parcels) > 1:
            first = dataclasses.replace(first, body=join([each.body for each, _ in parcels]))
        self._put_message(first)
        if self._unconfirmed is not None:
            self._unconfirmed.add(parcels)

    def _put_message(self, parcel: Parcel) -> None:
        body, ttl_ms = parcel.body, parcel.ttl_ms
        id = parcel.id.encode()
        if len(id) != frames.ID_LENGTH or parcel.headers is not None:
            self._wire.put(frames.message(self._number, parcel, self._body_limit))
            return
        ttl = b"" if ttl_ms is None else b"%d" % ttl_ms
        key = (
            parcel.exchange,
            parcel.key,
            parcel.reply_to,
            len(ttl),
            parcel.mandatory,
            parcel.persistent,
        )
        template = self._templates.get(key) or self._new_template(key, parcel)
        if len(body) <= self._small:
            self._wire.put(template.whole(id, ttl, body))
        else:
            self._wire.put_pieces(template.pieces(id, ttl, body, self._body_limit))

    def _new_template(self, key: _TemplateKey, parcel: Parcel) -> Template:
        if len(self._templates) >= _MAX_TEMPLATES:
            # The oldest, not the least used: making one anew costs as much as one message.
            del self._templates[next(iter(self._templates))]
        template = self._templates[key] = Template(self._number, parcel)
        return template

    def take_acks(self) -> list[bytes]:
        """Return the frames of the acknowledgements that are due."""
        number = self._number
        found: list[bytes] = []
        if self._answered.take():
            pairs = self._acks.take()
            found = [frames.ack(number, tag, multiple=multiple) for tag, multiple in pairs]
        if self._heard.take():
            found.append(frames.ack(number, self._heard_tag, multiple=True))
        return found

    # -- consuming -----------------------------------------------------------------------------

    async def consume(self, queue: str, consumer: str, take: OnDelivered) -> None:
        self._consumers[consumer.encode()] = take
        await self.channel.basic_consume(queue, _not_ours, consumer_tag=consumer)

    async def listen(self, queue: str, consumer: str, take: OnBody) -> None:
        # A channel is either listened to or consumed from: `multiple` would cover what is open.
        assert not self._consumers
        self._listeners[consumer.encode()] = take
        await self.channel.basic_consume(queue, _not_ours, consumer_tag=consumer)

    async def cancel(self, consumer: str) -> None:
        await self.channel.basic_cancel(consumer)
        # Whatever was delivered came before the answer to that.
        self._consumers.pop(consumer.encode(), None)
        self._listeners.pop(consumer.encode(), None)

    def on_deliver(
        self, consumer: bytes, tag: int, redelivered: bool, header: bytes, body: bytes
    ) -> None:
        """Hand a message to its consumer; the splitter calls this."""
        if not self._is_open:
            return
        try:
            listener = self._listeners.get(consumer)
            if listener is not None:
                self._heard_tag = tag
                self._heard.add(len(body))
                if self._heard.is_due:
                    self._wire.stir()
                listener(body)
                return
            self._acks.delivered(tag)
            taker = self._consumers.get(consumer)
            if taker is None:
                self.requeue(tag)
            else:
                taker(Delivered(body, tag, redelivered, *self._senders.read(header)))
        except Exception:
            # One message that cannot be handled must not cost the connection.
            logger.exception("could not handle a message for consumer %r", consumer)

    def on_return(self, exchange: str, key: str, header: bytes, body: bytes) -> None:
        """Give a message back; the splitter calls this."""
        if not self._is_open:
            return
        id, _ = frames.read_sender(header)
        try:
            self._on_returned(Returned(exchange, key, id, body))
        except Exception:
            logger.exception("could not handle a message that came back")

    # -- confirmations -------------------------------------------------------------------------

    def on_confirm(self, tag: int, multiple: bool, taken: bool) -> None:
        """Note what the broker has; the splitter calls this."""
        if self._unconfirmed is not None and self._is_open:
            self._unconfirmed.confirm(tag, multiple, taken)

    def _take_verdict(self, parcel: Parcel, tag: int | None, taken: bool) -> None:
        if not taken:
            # The queue has failed for the moment. Nobody else would send this again.
            asyncio.get_running_loop().call_later(RETRY_AFTER, self._put_again, parcel, tag)
        elif tag is not None:
            self.ack(tag)

    def _put_again(self, parcel: Parcel, tag: int | None) -> None:
        if self._is_open:
            self._put(parcel, tag)
            self._wire.stir()

    def _find_stuck(self, seconds: float) -> None:
        # A broker that is short of memory confirms nothing, and says so.
        if not self._wire.is_blocked:
            self._wire.fail(UNCONFIRMED.format(seconds))

    # -- ending --------------------------------------------------------------------------------

    async def flush(self) -> None:
        if self._unconfirmed is not None:
            await self._unconfirmed.settled()
        self._heard.fall_due()
        self._answered.fall_due()
        await self._wire.drain()
        if self._is_open:
            # The broker carries out what a channel asks for in order.
            await self.channel.exchange_declare(PROBE_EXCHANGE, passive=True)

    async def close(self) -> None:
        self.on_closed()

    def on_closed(self) -> None:
        """Send nothing more; the wire calls this, too."""
        self._is_open = False
        self._joined.clear()
        self._held.clear()
        self._heard.close()
        self._answered.close()
        if self._unconfirmed is not None:
            self._unconfirmed.close()


class _Joined:
    """What goes to one address in one message, each with the delivery that it answers."""

    __slots__ = ("parcels", "size")

    def __init__(self) -> None:
        self.parcels: list[tuple[Parcel, int | None]] = []
        self.size = 0
