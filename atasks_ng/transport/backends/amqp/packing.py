"""What is posted and answered, as parcels: to which exchange, with which key, and not too large."""

from __future__ import annotations

from ....protocol import envelopes
from ....protocol.pieces import Body
from ....words.errors import ProtocolError, TooLargeError
from ...base import NESTED, PROCESS, ROOT, WORKERS, Message
from ...sealing import Sealing
from .parcels import Parcel
from .settings import Names

# RabbitMQ closes the channel on a longer one, which is 49 days.
_MAX_TTL_MS = 2**32 - 2

# What a caller says to the worker that has its call: by another exchange than answers, so
# that callers need not be permitted to publish those.
_FOR_WORKERS = (envelopes.Pull, envelopes.Tell)

# Queues whose keys are kept; a program that makes up names must not fill the memory.
_MAX_KEYS = 1000


class Packer:
    """
    Make parcels.

    Args:
        names: What things are called on the broker.
        address: Where this process is reached.
        max_bytes: Largest body that the broker takes.
        sealing: Seals what they hold.
    """

    def __init__(self, names: Names, address: str, max_bytes: int, sealing: Sealing) -> None:
        self._names = names
        self._sealing = sealing
        # Asked for once: each is put together anew.
        self._requests, self._replies = names.requests, names.replies
        self._keys: dict[tuple[str, str], str] = {}
        self._address = address
        self._max_bytes = max_bytes

    def request(self, message: Message) -> Parcel:
        """
        Return what the router posts as a parcel.

        Raises:
            TooLargeError: The broker would not take it.
            OptionError: The codec needs a key.
        """
        names = self._names
        kind = message.kind
        if kind == WORKERS:
            body = self._checked(self._sealing.broadcast(message.body), "caller")
            return Parcel(names.control, message.target, body, message.id)
        if kind == PROCESS:
            exchange = self._exchange_of(message.body)
            side = "caller" if exchange == names.control else "worker"
            body = self._checked(self._sealing.message(message.body, message.target), side)
            return Parcel(exchange, message.target, body, message.id)
        key = self._keys.get((kind, message.target)) or self._new_key(kind, message.target)
        ttl_ms = message.ttl_ms
        if ttl_ms is not None and ttl_ms > _MAX_TTL_MS:
            ttl_ms = None
        return Parcel(
            self._requests,
            key,
            self._checked(self._sealing.request(message.body, self._address), "caller"),
            message.id,
            self._address,
            ttl_ms,
            mandatory=True,
        )

    def _exchange_of(self, body: Body) -> str:
        """Return the exchange by which an envelope goes to one process."""
        try:
            is_for_worker = type(envelopes.decode(bytes(body))) in _FOR_WORKERS
        except ProtocolError:
            is_for_worker = False
        return self._names.control if is_for_worker else self._names.replies

    def reply(self, address: str, id: str, body: Body, *, refused: bool = False) -> Parcel:
        """
        Return an answer on its way to a process; it comes back when that is gone.

        Args:
            address: Where the process is reached.
            id: Identity of the call.
            body: The envelope.
            refused: True for an answer to what was refused unread: it is not signed.
        """
        seal = self._sealing.refusal if refused else self._sealing.message
        try:
            sealed = self._checked(seal(body, address), "worker")
        except TooLargeError as exc:
            refusal = envelopes.Refusal(
                envelopes.decode(bytes(body)).id, "TooLargeError", [*exc.args]
            )
            sealed = seal(envelopes.encode(refusal), address)
        return Parcel(self._replies, address, sealed, id, mandatory=True, joins=True)

    def _new_key(self, kind: str, queue: str) -> str:
        assert kind in (ROOT, NESTED)
        if len(self._keys) >= _MAX_KEYS:
            self._keys.clear()
        key = self._keys[kind, queue] = self._names.key(queue, nested=kind == NESTED)
        return key

    def dead(self, body: bytes, id: str, reason: str, queue: str) -> Parcel:
        """Return a refused message on its way to where operators find it."""
        headers = {"reason": reason[:1000], "queue": queue}
        return Parcel(self._names.dead, "", body, id, persistent=True, headers=headers)

    def _checked(self, sealed: Body, side: str) -> Body:
        if len(sealed) > self._max_bytes:
            option = f"?max_message_bytes=... in the URL of the {side}, if the broker takes as much"
            raise TooLargeError(len(sealed), self._max_bytes, "the message", option)
        return sealed
