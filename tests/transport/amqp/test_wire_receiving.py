"""What is read from a shared socket: who gets it, and what is acknowledged when."""

from __future__ import annotations

import asyncio

import pamqp.frame
import pytest
from pamqp import commands
from pamqp.heartbeat import Heartbeat

from atasks_ng.transport.backends.amqp.lane import fast
from atasks_ng.transport.backends.amqp.parcels import Delivered, Parcel
from tests.transport.amqp.peers import FRAME_MAX, Bench, message, parcel, tick


async def test_deliveries_reach_their_consumer() -> None:
    bench = Bench()
    lane = bench.lane()
    taken: list[Delivered] = []
    await lane.consume("queue", "consumer", taken.append)

    bench.deliver(1, 2)

    assert taken == [
        Delivered(b"body 1", 1, False, "id 1", "sender"),
        Delivered(b"body 2", 2, False, "id 2", "sender"),
    ]


async def test_what_is_listened_to_is_acknowledged_after_a_while() -> None:
    bench = Bench()
    lane = bench.lane()
    bodies: list[bytes] = []
    await lane.listen("queue", "consumer", bodies.append)

    bench.deliver(1, 2)
    bench.deliver(3)
    await tick()
    assert bodies == [b"body 1", b"body 2", b"body 3"]
    assert bench.sent() == []
    await asyncio.sleep(fast._HEARD_SECONDS + 0.05)

    assert bench.sent() == [(1, "ack", 3, True)]


async def test_what_is_listened_to_is_acknowledged_when_it_is_much() -> None:
    bench = Bench()
    lane = bench.lane()
    await lane.listen("queue", "consumer", lambda _: None)

    for tag in range(1, fast._HEARD_MESSAGES + 1):
        bench.deliver(tag)
    await tick()
    assert bench.sent() == [(1, "ack", fast._HEARD_MESSAGES, True)]
    bench.deliver(1000, size=fast._HEARD_BYTES)
    await tick()

    assert bench.sent()[1:] == [(1, "ack", 1000, True)]


async def test_acknowledgements_of_what_was_answered_wait_for_others() -> None:
    bench = Bench()
    lane = bench.lane()
    lane.set_slack(3)
    await lane.consume("queue", "consumer", lambda _: None)
    bench.deliver(*range(1, 9))

    for tag in (1, 2):
        lane.answer(tag, parcel(tag))
        await tick()
    assert bench.sent() == [message(1), message(2)]
    lane.answer(3, parcel(3))
    await tick()
    assert bench.sent()[2:] == [message(3), (1, "ack", 3, True)]
    # Without others, for a moment.
    lane.ack(4)
    await asyncio.sleep(fast._ANSWERED_SECONDS + 0.05)

    assert bench.sent()[4:] == [(1, "ack", 4, False)]


async def test_what_goes_back_is_not_covered_by_acknowledgements_that_waited() -> None:
    bench = Bench()
    lane = bench.lane()
    lane.set_slack(3)
    await lane.consume("queue", "consumer", lambda _: None)
    bench.deliver(1, 2, 3, 4)

    lane.ack(1)
    lane.requeue(2)
    await tick()
    lane.ack(3)
    lane.ack(4)
    await tick()

    assert bench.sent() == [(1, "requeue", 2, False), (1, "ack", 4, True)]


async def test_a_delivery_for_nobody_goes_back() -> None:
    bench = Bench()
    lane = bench.lane()
    await lane.consume("queue", "consumer", lambda _: None)
    await lane.cancel("consumer")

    bench.deliver(1)
    await tick()

    assert bench.sent() == [(1, "requeue", 1, False)]


async def test_a_consumer_that_raises_does_not_end_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    lane = bench.lane()
    taken = []

    def take(delivered: Delivered) -> None:
        taken.append(delivered.tag)
        raise ValueError("planted")

    await lane.consume("queue", "consumer", take)
    bench.deliver(1, 2)

    assert taken == [1, 2]
    assert bench.wire.is_open
    assert "could not handle a message" in caplog.text


async def test_a_returned_message_comes_back() -> None:
    bench = Bench()
    bench.lane()
    published = Parcel("exchange", "key", b"body", "0" * 32)
    header = commands.Basic.Properties(correlation_id=published.id)

    bench.feed(
        (1, commands.Basic.Return(312, "NO_ROUTE", "exchange", "key")),
        (1, pamqp.header.ContentHeader(0, 4, header)),
        (1, pamqp.body.ContentBody(b"body")),
    )

    (returned,) = bench.returned
    assert (returned.exchange, returned.key, returned.id, returned.body) == (
        "exchange",
        "key",
        published.id,
        b"body",
    )


async def test_aiormq_sees_everything_else() -> None:
    bench = Bench()
    bench.lane()

    bench.deliver(1)
    bench.feed((1, commands.Basic.QosOk()), (0, Heartbeat()), (3, commands.Basic.QosOk()))

    expected = b"".join(
        pamqp.frame.marshal(frame, number)
        for number, frame in (
            (1, commands.Basic.QosOk()),
            (0, Heartbeat()),
            (3, commands.Basic.QosOk()),
        )
    )
    assert await bench.wire.reader.read(1000) == expected


async def test_aiormq_sees_heartbeats_while_data_flows() -> None:
    bench = Bench()
    bench.lane()
    bench.wire.tune(FRAME_MAX, 1)
    reading = asyncio.create_task(bench.wire.reader.readexactly(16))

    async with asyncio.timeout(10):
        while not reading.done():
            bench.deliver(1)
            await asyncio.sleep(0.01)
    bench.wire.abort()

    assert reading.result() == 2 * pamqp.frame.marshal(Heartbeat(), 0)
