"""Both lanes against a broker: what one does, the other does."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import aiormq
import pytest

from atasks_ng.transport.backends.amqp.lane import FastLane, Lane, PlainLane
from atasks_ng.transport.backends.amqp.links import Link
from atasks_ng.transport.backends.amqp.parcels import Delivered, Parcel, Returned
from atasks_ng.transport.backends.amqp.settings import Settings

FRAME_BODY = 128 * 1024 - 8

SIZES = [0, 1, 64 * 1024, 64 * 1024 + 1, FRAME_BODY - 1, FRAME_BODY, FRAME_BODY + 1]
LARGE = [2 * FRAME_BODY, 1024 * 1024, 5 * 1024 * 1024]


class Pair:
    """A lane that publishes and one that consumes, each on a connection of its own."""

    def __init__(self, url: str, kind: str) -> None:
        self.settings = Settings(url, fast=kind != "plain", confirms=kind == "confirming")
        self.queue = f"test-{uuid.uuid4().hex}"
        self.returned: list[Returned] = []
        self.taken: asyncio.Queue[Delivered] = asyncio.Queue()
        self.links: list[Link] = []

    async def open(self) -> None:
        self.sender = await self._lane("sends")
        self.receiver = await self._lane("receives")
        await self.receiver.channel.queue_declare(self.queue, arguments={"x-expires": 60_000})
        await self.receiver.channel.basic_qos(prefetch_count=100)

    async def close(self) -> None:
        for lane in (self.sender, self.receiver):
            await lane.close()
        for link in self.links:
            await link.close()
        self.links.clear()

    async def _lane(self, role: str) -> Lane:
        link = Link(self.settings, role)
        await link.open()
        self.links.append(link)
        return await link.lane(self.returned.append, publishes=True)

    async def consume(self) -> None:
        await self.receiver.consume(self.queue, "consumer", self.taken.put_nowait)

    async def take(self) -> Delivered:
        return await asyncio.wait_for(self.taken.get(), 30)

    def parcel(self, number: int, body: bytes = b"body", key: str | None = None) -> Parcel:
        key = self.queue if key is None else key
        return Parcel("", key, body, f"{number:032x}", "sender", mandatory=True)

    async def count(self) -> int:
        """Return how many messages wait in the queue."""
        channel = self.receiver.channel
        found = (await channel.queue_declare(self.queue, passive=True)).message_count
        assert found is not None
        return found


@pytest.fixture(params=["fast", "confirming", "plain"])
async def pair(request: pytest.FixtureRequest, amqp_url: str) -> AsyncIterator[Pair]:
    pair = Pair(amqp_url, request.param)
    await pair.open()
    yield pair
    await pair.close()


async def test_the_setting_chooses_the_lane(pair: Pair) -> None:
    expected = FastLane if pair.settings.fast else PlainLane

    assert isinstance(pair.sender, expected)
    assert pair.sender.is_writable
    assert not pair.sender.is_blocked


@pytest.mark.parametrize("size", SIZES + LARGE)
async def test_a_body_of_any_size_arrives(pair: Pair, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    await pair.consume()

    pair.sender.publish(pair.parcel(1, body))
    delivered = await pair.take()

    assert delivered.body == body
    assert delivered == Delivered(body, 1, False, f"{1:032x}", "sender")


async def test_messages_arrive_in_order(pair: Pair) -> None:
    await pair.consume()
    bodies = [b"%d" % n if n % 50 else b"%d" % n * 40_000 for n in range(1000)]

    for number, body in enumerate(bodies):
        pair.sender.publish(pair.parcel(number, body))
    for number, body in enumerate(bodies):
        delivered = await pair.take()
        pair.receiver.ack(delivered.tag)
        assert (delivered.id, delivered.body) == (f"{number:032x}", body)


async def test_properties_arrive(pair: Pair) -> None:
    await pair.consume()
    parcel = Parcel(
        "",
        pair.queue,
        b"body",
        "an id of another length",
        "sender",
        ttl_ms=60_000,
        persistent=True,
        headers={"reason": "why"},
    )

    pair.sender.publish(parcel)
    delivered = await pair.take()

    assert (delivered.id, delivered.reply_to) == (parcel.id, "sender")


async def test_a_message_that_no_queue_takes_comes_back(pair: Pair) -> None:
    body = b"b" * 200_000
    pair.sender.publish(pair.parcel(1, body, key="nowhere"))
    pair.sender.publish(pair.parcel(2))
    await pair.sender.flush()
    await pair.consume()

    assert (await pair.take()).id == f"{2:032x}"
    assert pair.returned == [Returned("", "nowhere", f"{1:032x}", body)]


async def test_flush_returns_when_the_broker_has_everything(pair: Pair) -> None:
    for number in range(500):
        pair.sender.publish(pair.parcel(number))
    await pair.sender.flush()
    await pair.sender.close()
    await pair.links[0].close()

    await pair.consume()
    for number in range(500):
        delivered = await pair.take()
        pair.receiver.ack(delivered.tag)
        assert delivered.id == f"{number:032x}"


async def test_what_is_put_back_is_delivered_again(pair: Pair) -> None:
    await pair.consume()
    for number in (1, 2, 3):
        pair.sender.publish(pair.parcel(number))
    first, second, third = [await pair.take() for _ in range(3)]
    assert not second.redelivered

    pair.receiver.ack(first.tag)
    pair.receiver.requeue(second.tag)
    pair.receiver.ack(third.tag)
    again = await pair.take()
    pair.receiver.ack(again.tag)
    await pair.receiver.flush()

    assert (again.id, again.redelivered) == (second.id, True)


async def test_acknowledged_out_of_order_nothing_remains(pair: Pair) -> None:
    await pair.consume()
    for number in range(300):
        pair.sender.publish(pair.parcel(number))
    held = [await pair.take() for _ in range(100)]

    # The window has room for 100: the rest comes as these are acknowledged.
    for delivered in [*held[50:], *held[:49]]:
        pair.receiver.ack(delivered.tag)
    for _ in range(200):
        delivered = await pair.take()
        pair.receiver.ack(delivered.tag)
    pair.receiver.ack(held[49].tag)
    await pair.receiver.flush()
    await pair.close()
    await pair.open()

    assert await pair.count() == 0


async def test_what_is_not_acknowledged_stays(pair: Pair) -> None:
    await pair.consume()
    for number in range(10):
        pair.sender.publish(pair.parcel(number))
    taken = [await pair.take() for _ in range(10)]
    for delivered in taken[::2]:
        pair.receiver.ack(delivered.tag)
    await pair.receiver.flush()
    await pair.close()

    await pair.open()
    await pair.consume()
    again = [await pair.take() for _ in range(5)]

    assert {delivered.id for delivered in again} == {delivered.id for delivered in taken[1::2]}
    assert all(delivered.redelivered for delivered in again)


async def test_an_answer_is_out_when_its_request_is_settled(pair: Pair) -> None:
    await pair.consume()
    answers = f"{pair.queue}-answers"
    await pair.receiver.channel.queue_declare(answers, arguments={"x-expires": 60_000})
    for number in range(100):
        pair.sender.publish(pair.parcel(number))
    for number in range(100):
        delivered = await pair.take()
        size = 100_000 if number % 10 == 0 else 10
        parcel = pair.parcel(number, b"a" * size, key=answers)
        pair.receiver.answer(delivered.tag, parcel)
    # No flush: the connection is closed while the last are on their way.
    await asyncio.sleep(0.05)
    await pair.close()

    await pair.open()
    unanswered = await pair.count()
    channel = pair.receiver.channel
    answered = (await channel.queue_declare(answers, passive=True)).message_count
    assert answered is not None
    assert answered + unanswered >= 100


async def test_listening_acknowledges(pair: Pair) -> None:
    bodies: asyncio.Queue[bytes] = asyncio.Queue()
    await pair.receiver.channel.basic_qos(prefetch_count=2000)
    await pair.receiver.listen(pair.queue, "consumer", bodies.put_nowait)

    for number in range(1000):
        pair.sender.publish(pair.parcel(number, b"%d" % number))
    async with asyncio.timeout(30):
        taken = [await bodies.get() for _ in range(1000)]
    await pair.receiver.flush()
    await pair.close()
    await pair.open()

    assert taken == [b"%d" % number for number in range(1000)]
    assert await pair.count() == 0


async def test_cancelled_consumers_get_nothing_more(pair: Pair) -> None:
    await pair.consume()

    await pair.receiver.cancel("consumer")
    pair.sender.publish(pair.parcel(1))
    await pair.sender.flush()
    assert pair.taken.empty()
    await pair.consume()

    assert (await pair.take()).id == f"{1:032x}"


async def test_a_closed_lane_drops_what_it_is_given(pair: Pair) -> None:
    await pair.sender.close()

    pair.sender.publish(pair.parcel(1))
    pair.sender.answer(1, pair.parcel(2))
    await asyncio.sleep(0.05)

    assert await pair.count() == 0


async def test_messages_of_other_clients_arrive_whatever_their_properties(pair: Pair) -> None:
    await pair.consume()
    channel = pair.links[0].connection
    other = await channel.channel(publisher_confirms=False)
    properties = aiormq.spec.Basic.Properties(
        content_encoding="none",
        headers={"a": [1, {"b": None}], "c": "x" * 1000},
        priority=3,
        correlation_id="übung",
        message_id="m",
        app_id="another",
    )

    await other.basic_publish(b"body", routing_key=pair.queue, properties=properties)
    await other.basic_publish(b"", routing_key=pair.queue)

    assert (await pair.take()).id == "übung"
    assert await pair.take() == Delivered(b"", 2, False, None, None)
