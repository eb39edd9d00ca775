"""Somebody else on the broker, who reads and writes what the broker lets everybody."""

from __future__ import annotations

import dataclasses

import aiormq
from aiormq.abc import AbstractChannel, DeliveredMessage

from atasks_ng.protocol import envelopes
from atasks_ng.protocol.seals import Checksum, about_process, about_request
from atasks_ng.transport import get_transport
from atasks_ng.transport.backends.amqp.settings import Names
from atasks_ng.words import hooks

from .worlds import until

#: A stranger can make a checksum, too.
checksum = Checksum("default")


@dataclasses.dataclass
class Stranger:
    """Somebody else on the broker."""

    channel: AbstractChannel
    names: Names
    records: list[object]

    @property
    def address(self) -> str:
        """Where the caller gets its answers."""
        transport = get_transport()
        assert transport is not None
        assert transport.address is not None
        return transport.address

    @property
    def ids(self) -> list[str]:
        """The calls that were made."""
        return [record.id for record in self.records if type(record) is hooks.CallSent]

    async def publish(
        self, exchange: str, key: str, body: bytes, id: str | None = None, back: str | None = None
    ) -> None:
        properties = aiormq.spec.Basic.Properties(correlation_id=id, reply_to=back)
        await self.channel.basic_publish(
            body, exchange=exchange, routing_key=key, properties=properties
        )

    async def request(self, body: bytes, id: str | None = None, back: str | None = None) -> None:
        sealed = checksum.seal(body, about_request(back or ""))
        await self.publish(self.names.requests, "default", sealed, id, back)

    async def reply(self, body: bytes, id: str) -> None:
        sealed = checksum.seal(body, about_process(self.address))
        await self.publish(self.names.replies, self.address, sealed, id)

    async def answer(self, inbox: str) -> envelopes.Envelope:
        """Return what came into a queue that answers were sent to."""
        message = await self.get(inbox)
        return envelopes.decode(checksum.open(message.body, about_process(inbox)))

    async def inbox(self) -> str:
        """Return a queue that answers can be sent to."""
        declared = await self.channel.queue_declare(exclusive=True)
        assert declared.queue
        await self.channel.queue_bind(declared.queue, self.names.replies, declared.queue)
        return declared.queue

    async def get(self, queue: str) -> DeliveredMessage:
        """Return the next message of a queue."""
        found: list[DeliveredMessage] = []

        async def is_there() -> bool:
            message = await self.channel.basic_get(queue, no_ack=True)
            if isinstance(message.delivery, aiormq.spec.Basic.GetOk):
                found.append(message)
            return bool(found)

        await until(is_there, what=f"nothing came into {queue}")
        return found[0]

    async def count(self, queue: str) -> int:
        declared = await self.channel.queue_declare(queue, passive=True)
        return declared.message_count or 0
