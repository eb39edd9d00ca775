"""Requests in the hands of a worker, and what can be said about them."""

from __future__ import annotations

from contextvars import Context
from typing import Protocol

from ....protocol.pieces import Body
from ...base import Delivery
from ...sealing import Sealing
from .packing import Packer
from .parcels import Delivered, Parcel
from .session import Session
from .windows import Window


class Office(Protocol):
    """Where deliveries have things sent: the transport."""

    @property
    def packer(self) -> Packer:
        """What makes parcels of it."""

    def is_away(self, address: str) -> bool:
        """Return True if a process is known to have no link."""

    async def find_process(self, address: str) -> bool:
        """Return False if a process has no link just now, True if it has, or nobody can say."""

    def say(self, parcel: Parcel) -> None:
        """Send something on the session of now, which need not be that of the delivery."""


class AMQPDelivery(Delivery):
    """
    A request that the broker delivered.

    Args:
        office: Sends what is said about it.
        session: The one that brought it, and that alone can settle it.
        window: The window that brought it.
        delivered: What came.
        stale: Whether it may have lain in the queue for long.
        sealing: Opens its seal.
    """

    __slots__ = ("_office", "_reply_to", "_sealed", "_session", "_settled", "_tag")

    def __init__(
        self,
        office: Office,
        session: Session,
        window: Window,
        delivered: Delivered,
        stale: bool,
        sealing: Sealing,
    ) -> None:
        super().__init__(
            b"",
            id=delivered.id,
            queue=window.queue,
            nested=window.nested,
            redelivered=delivered.redelivered,
            stale=stale,
        )
        self._office = office
        self._session = session
        self._tag = delivered.tag
        self._reply_to = delivered.reply_to
        self._settled = False
        # As it came, for operators.
        self._sealed = delivered.body
        self.unseal(delivered.body, sealing, delivered.reply_to or "")

    @property
    def is_away(self) -> bool:
        return self._office.is_away(self._reply_to or "")

    async def find_caller(self) -> bool:
        return await self._office.find_process(self._reply_to) if self._reply_to else True

    def finish(self, answer: Body | None, context: Context | None = None) -> None:
        if self._settled:
            return
        self._settled = True
        if answer is None or not self._reply_to:
            self._session.settle(self._tag)
        else:
            refused = self.fault is not None
            parcel = self._office.packer.reply(
                self._reply_to, self.id or "", answer, refused=refused
            )
            if not self._session.answer(self._tag, parcel):
                # The request comes again; its answer need not wait for that.
                self._office.say(parcel)

    def say(self, envelope: Body, context: Context | None = None) -> None:
        if self._reply_to:
            parcel = self._office.packer.reply(self._reply_to, self.id or "", envelope)
            self._office.say(parcel)

    def hand_back(self) -> None:
        if not self._settled:
            self._settled = True
            self._session.requeue(self._tag)

    def refuse(self, reason: str, answer: bytes | None) -> None:
        self._office.say(self._office.packer.dead(self._sealed, self.id or "", reason, self.queue))
        self.finish(answer)
