"""A broker's side of a wire, in memory."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pamqp.frame
from aiormq.channel import Channel
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from atasks_ng.transport.backends.amqp.lane import FastLane, Wire
from atasks_ng.transport.backends.amqp.parcels import Parcel, Returned

FRAME_MAX = 128 * 1024
LIMIT = FRAME_MAX - 8

#: More than fits into one frame.
LARGE = 300 * 1024


class FakeSocket(asyncio.Transport):
    """Keeps what is written; takes no more than a number of bytes until it is emptied."""

    def __init__(self, wire: Wire, room: int = 2**40) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_aborted = False
        self._wire = wire
        self._room = room
        self._filled = 0
        self._is_full = False

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)

    def write(self, data: Any) -> None:
        assert not self.is_aborted
        self.writes.append(bytes(data))
        self._filled += len(data)
        if self._filled > self._room and not self._is_full:
            self._is_full = True
            self._wire.pause_writing()

    def empty(self) -> None:
        """Send what was written."""
        self._filled = 0
        if self._is_full:
            self._is_full = False
            self._wire.resume_writing()

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True

    def close(self) -> None:
        self.is_aborted = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return self._filled if self._is_full else 0

    def is_reading(self) -> bool:
        return True

    def pause_reading(self) -> None:
        """Nothing is read by itself."""

    def resume_reading(self) -> None:
        """Nothing is read by itself."""


class FakeChannel:
    """As much of aiormq's channel as a lane needs to send."""

    def __init__(self, number: int, *, confirms: bool = False) -> None:
        self.number = number
        self.publisher_confirms = confirms
        self.asked: list[str] = []

    async def basic_consume(self, queue: str, callback: Any, *, consumer_tag: str) -> None:
        self.asked.append(f"consume {queue} as {consumer_tag}")

    async def basic_cancel(self, consumer_tag: str) -> None:
        self.asked.append(f"cancel {consumer_tag}")

    async def exchange_declare(self, name: str, *, passive: bool) -> None:
        self.asked.append(f"probe {name}")


class Bench:
    """A wire on a fake socket, and lanes on it."""

    def __init__(self, room: int = 2**40) -> None:
        self.wire = Wire(asyncio.get_running_loop())
        self.socket = FakeSocket(self.wire, room)
        self.wire.connection_made(self.socket)
        self.wire.tune(FRAME_MAX, 0)
        self.returned: list[Returned] = []

    def lane(self, number: int = 1, *, confirms: bool = False, timeout: float = 10.0) -> FastLane:
        channel = cast(Channel, FakeChannel(number, confirms=confirms))
        return FastLane(channel, self.wire, self.returned.append, FRAME_MAX, timeout)

    def feed(self, *frames: tuple[int, Any]) -> None:
        """Let frames arrive in one read."""
        self.wire.take(b"".join(pamqp.frame.marshal(f, number) for number, f in frames))

    def deliver(
        self, *tags: int, number: int = 1, consumer: str = "consumer", size: int = 0
    ) -> None:
        """Let messages arrive in one read."""
        frames: list[tuple[int, Any]] = []
        for tag in tags:
            body = b"b" * size or f"body {tag}".encode()
            properties = commands.Basic.Properties(correlation_id=f"id {tag}", reply_to="sender")
            frames += [
                (number, commands.Basic.Deliver(consumer, tag, False, "", "")),
                (number, ContentHeader(0, len(body), properties)),
                *[(number, ContentBody(body[a : a + LIMIT])) for a in range(0, len(body), LIMIT)],
            ]
        self.feed(*frames)

    def sent(self) -> list[Any]:
        """Return what was written: messages as (channel, id, body), and other frames."""
        return read_sent(self.socket.written)


def read_sent(data: bytes) -> list[Any]:
    """Return the messages in a stream of frames; fails if one is not in one piece."""
    found: list[Any] = []
    body: bytes | None = None
    owner = missing = 0
    id: str | None = None
    while data:
        size, channel, frame = pamqp.frame.unmarshal(data)
        data = data[size:]
        if isinstance(frame, commands.Basic.Publish):
            assert body is None
            owner, body = channel, b""
        elif body is not None:
            assert channel == owner
            if isinstance(frame, ContentHeader):
                missing, id = frame.body_size, frame.properties.correlation_id
            else:
                assert isinstance(frame, ContentBody)
                assert len(frame.value) <= FRAME_MAX - 8
                body += frame.value
                missing -= len(frame.value)
            if not missing:
                found.append((owner, id, body))
                body = None
        elif isinstance(frame, commands.Basic.Ack):
            found.append((channel, "ack", frame.delivery_tag, frame.multiple))
        elif isinstance(frame, commands.Basic.Nack):
            assert frame.requeue
            found.append((channel, "requeue", frame.delivery_tag, frame.multiple))
        else:
            found.append((channel, frame))
    assert body is None
    return found


async def tick() -> None:
    """Let the loop do what is due."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def parcel(number: int, size: int = 10, *, joins: bool = False) -> Parcel:
    """Return a message to be published."""
    return Parcel("exchange", "key", body_of(number, size), f"{number:032x}", joins=joins)


def message(number: int, size: int = 10, channel: int = 1) -> tuple[int, str, bytes]:
    """Return what ``sent()`` tells of that message."""
    return (channel, f"{number:032x}", body_of(number, size))


def body_of(number: int, size: int) -> bytes:
    """Return its body."""
    return b"%09d" % number + b"b" * (size - 9)


async def confirming(bench: Bench) -> FastLane:
    """Return a lane that consumes, and whose messages are confirmed."""
    lane = bench.lane(confirms=True)
    await lane.consume("queue", "consumer", lambda _: None)
    return lane
