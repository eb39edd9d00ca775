"""What is published, what was delivered, and what came back."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterable
from typing import Any

from ....protocol.pieces import Body

#: Content type of everything that is published.
CONTENT_TYPE = "application/vnd.msgpack"


@dataclasses.dataclass(slots=True)
class Parcel:
    """
    One message on its way to the broker.

    Attributes:
        exchange: Name of the exchange.
        key: Routing key.
        body: The envelope.
        id: Identity of the call: the correlation id.
        reply_to: Address of this process, for requests.
        ttl_ms: Time after which the broker may drop it.
        mandatory: True if it must come back when no queue takes it.
        persistent: True if it must survive a restart of the broker.
        headers: Headers, or ``None``.
        joins: True if it may travel with others to the same address in one message.
    """

    exchange: str
    key: str
    body: Body
    id: str = ""
    reply_to: str | None = None
    ttl_ms: int | None = None
    mandatory: bool = False
    persistent: bool = False
    headers: dict[str, Any] | None = None
    joins: bool = False


@dataclasses.dataclass(slots=True)
class Delivered:
    """
    One message that a consumer was given, until it is acknowledged or put back.

    Attributes:
        body: The envelope.
        tag: Its number on the channel.
        redelivered: True if it was delivered before.
        id: Its correlation id, or ``None``.
        reply_to: Address of who sent it, or ``None``.
    """

    body: bytes
    tag: int
    redelivered: bool
    id: str | None
    reply_to: str | None


@dataclasses.dataclass(slots=True)
class Returned:
    """
    One mandatory message that no queue took.

    Attributes:
        exchange: The exchange it was published to.
        key: Its routing key.
        id: Its correlation id, or ``None``.
        body: The envelope.
    """

    exchange: str
    key: str
    id: str | None
    body: bytes


# The one byte that no msgpack value begins with, and so no envelope.
_JOINED = b"\xc1"
_LENGTH = struct.Struct(">I")


def join(bodies: Iterable[Body]) -> bytes:
    """
    Return several envelopes as one body.

    It is the byte ``0xC1``, and for each its length in four bytes, the most significant first, and
    itself.
    """
    return _JOINED + b"".join([_LENGTH.pack(len(body)) + bytes(body) for body in bodies])


def part(body: bytes) -> list[bytes]:
    """
    Return the envelopes that a body consists of.

    What is joined in no way that this module knows is returned as it is: whoever decodes
    envelopes refuses it.
    """
    if not body.startswith(_JOINED):
        return [body]
    found, at, end = [], 1, len(body)
    while end - at >= 4:
        start = at + 4
        at = start + _LENGTH.unpack_from(body, at)[0]
        found.append(body[start:at])
    return found if at == end else [body]


class Acks:
    """
    Which deliveries of a channel can be acknowledged, and by how few frames.

    Law: ``multiple`` acknowledges everything up to a tag that must itself be unacknowledged, so it
    names the last of a run with nothing open before it. What lies behind an open delivery is
    acknowledged one by one: a long call must not hold back the window of those after it.
    """

    def __init__(self) -> None:
        # In the order of the tags, since deliveries arrive in it.
        self._open: dict[int, None] = {}
        self._settled: list[int] = []

    def delivered(self, tag: int) -> None:
        """A delivery arrived."""
        self._open[tag] = None

    def settle(self, tag: int) -> None:
        """A delivery is done with."""
        self._open.pop(tag, None)
        self._settled.append(tag)

    def skip(self, tag: int) -> None:
        """A delivery is settled by other means, in a frame sent before the next acknowledgement."""
        self._open.pop(tag, None)

    def take(self) -> list[tuple[int, bool]]:
        """Return what to send now: pairs of tag and ``multiple``."""
        if not self._settled:
            return []
        settled, self._settled = self._settled, []
        oldest = next(iter(self._open), None)
        if oldest is None:
            return [(max(settled), len(settled) > 1)]
        run = [tag for tag in settled if tag < oldest]
        loose = [(tag, False) for tag in settled if tag > oldest]
        return [(max(run), len(run) > 1), *loose] if run else loose
