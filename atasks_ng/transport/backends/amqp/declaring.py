"""Topology: what a process may declare it declares, what it may not it expects to be there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from aiormq.channel import Channel
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
)
from pamqp import commands
from pamqp.common import FieldValue

from ....words.errors import AccessDeniedError, OptionError
from .lane.base import PROBE_EXCHANGE
from .links import Link
from .refusals import not_permitted, reason

logger = logging.getLogger("atasks_ng.amqp")

Arguments = dict[str, FieldValue]
T = TypeVar("T")

#: The exchanges of a namespace, by the last part of their names, and their types.
EXCHANGES = {"req": "direct", "reply": "direct", "ctl": "direct", "dead": "fanout"}

#: How long refused messages are kept, and how many.
DEAD_QUEUE: Arguments = {"x-message-ttl": 7 * 24 * 3600 * 1000, "x-max-length": 10_000}

# No queue's name has a colon in front, so no queue gets what is published to find out whether one
# may.
_NO_QUEUE = ":probe"


class Declarer:
    """
    Declares exchanges, queues and bindings.

    On a channel of its own: the broker answers what a user may not do by closing the channel, and
    with it whatever else goes on there.

    Args:
        link: A connection that is open.
        user: Who has logged in.
    """

    def __init__(self, link: Link, user: str) -> None:
        self._link = link
        self._user = user
        self._channel: Channel | None = None
        self._lock = asyncio.Lock()
        self._given: set[str] = set()

    async def exchange(self, name: str, kind: str) -> None:
        """
        Declare a durable exchange.

        Raises:
            AccessDeniedError: This user may not, and nobody else has.
        """
        await self._declare(
            f"exchange {name!r}",
            lambda channel, passive: channel.exchange_declare(
                name, exchange_type=kind, durable=True, passive=passive
            ),
        )

    async def queue(self, name: str, arguments: Arguments) -> commands.Queue.DeclareOk:
        """
        Declare a durable queue.

        Raises:
            AccessDeniedError: This user may not, and nobody else has.
            OptionError: Somebody else has, with other settings.
        """
        return await self._declare(
            f"queue {name!r}",
            lambda channel, passive: channel.queue_declare(
                name, durable=True, arguments=arguments, passive=passive
            ),
        )

    async def bind(self, queue: str, exchange: str, key: str = "") -> None:
        """
        Bind a queue to an exchange; if somebody else has declared it, that may be done already.

        Raises:
            AccessDeniedError: This user may not.
        """
        async with self._lock:
            channel = await self._open()
            try:
                await channel.queue_bind(queue, exchange, key)
            except ChannelAccessRefused as exc:
                if f"queue {queue!r}" not in self._given:
                    what = f"bind queue {queue!r} to exchange {exchange!r}"
                    needs = "'write' on the queue and 'read' on the exchange"
                    raise not_permitted(self._user, what, needs) from exc
                logger.debug(
                    "user %r may not bind queue %r to exchange %r, and need not if whoever "
                    "declared the queue has bound it",
                    *(self._user, queue, exchange),
                )

    async def refused(self, exchanges: Iterable[str]) -> dict[str, AccessDeniedError]:
        """Return to which of some exchanges this user may not publish, and why."""
        found = {}
        async with self._lock:
            for exchange in exchanges:
                channel = await self._open()
                try:
                    await channel.basic_publish(b"", exchange=exchange, routing_key=_NO_QUEUE)
                    # Asking for anything else shows that it was carried out.
                    await channel.exchange_declare(PROBE_EXCHANGE, passive=True)
                except ChannelAccessRefused:
                    what = f"publish to exchange {exchange!r}"
                    found[exchange] = not_permitted(self._user, what, "'write'")
        return found

    async def _declare(self, what: str, declare: Callable[[Channel, bool], Awaitable[T]]) -> T:
        async with self._lock:
            if what not in self._given:
                try:
                    return await declare(await self._open(), False)
                except ChannelAccessRefused:
                    logger.debug("%s may not declare %s", self._user, what)
                except ChannelPreconditionFailed as exc:
                    raise OptionError(
                        f"{what} was declared with other settings ({reason(exc)}): use the same "
                        "options in all processes, or delete it"
                    ) from exc
            try:
                found = await declare(await self._open(), True)
            except ChannelNotFoundEntity as exc:
                missing = f"declare {what}, which does not exist"
                raise not_permitted(self._user, missing, "'configure'") from exc
            self._given.add(what)
            return found

    async def _open(self) -> Channel:
        if self._channel is None or self._channel.is_closed:
            self._channel = await self._link.channel()
        return self._channel
