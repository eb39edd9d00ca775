"""What a lane does while messages are not confirmed."""

from __future__ import annotations

import asyncio

import pytest
from pamqp import commands

from tests.transport.amqp.peers import Bench, confirming, message, parcel, tick


async def test_with_confirmations_acknowledgements_wait_for_them() -> None:
    bench = Bench()
    lane = await confirming(bench)
    bench.deliver(1, 2, 3)

    lane.answer(1, parcel(1))
    lane.publish(parcel(2))
    lane.answer(2, parcel(3))
    lane.answer(3, parcel(4))
    await tick()
    assert bench.sent() == [message(1), message(2), message(3), message(4)]
    bench.feed((1, commands.Basic.Ack(3, True)))
    await tick()
    assert bench.sent()[4:] == [(1, "ack", 2, True)]
    bench.feed((1, commands.Basic.Ack(4, False)))
    await tick()

    assert bench.sent()[5:] == [(1, "ack", 3, False)]


async def test_flush_waits_for_confirmations() -> None:
    bench = Bench()
    lane = await confirming(bench)
    lane.publish(parcel(1))

    flushing = asyncio.create_task(lane.flush())
    await tick()
    assert not flushing.done()
    bench.feed((1, commands.Basic.Ack(0, True)))

    await asyncio.wait_for(flushing, 1)


async def test_what_the_broker_could_not_take_is_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("atasks_ng.transport.backends.amqp.lane.fast.RETRY_AFTER", 0.01)
    bench = Bench()
    lane = await confirming(bench)
    bench.deliver(1)
    lane.answer(1, parcel(1))
    await tick()

    bench.feed((1, commands.Basic.Nack(1, False)))
    await asyncio.sleep(0.05)
    assert bench.sent() == [message(1), message(1)]
    bench.feed((1, commands.Basic.Ack(2, False)))
    await tick()

    assert bench.sent()[2:] == [(1, "ack", 1, False)]


async def test_a_confirmation_that_does_not_come_ends_the_connection() -> None:
    bench = Bench()
    lane = bench.lane(confirms=True, timeout=0.02)
    for number in range(1, 4):
        lane.publish(parcel(number))
        bench.feed((1, commands.Basic.Ack(number, False)))
        await asyncio.sleep(0.02)
    assert bench.wire.is_open

    lane.publish(parcel(4))

    with pytest.raises(ConnectionError, match="did not confirm"):
        await asyncio.wait_for(bench.wire.reader.readexactly(1), 5)
    assert bench.socket.is_aborted


async def test_a_blocked_broker_may_confirm_late() -> None:
    bench = Bench()
    lane = bench.lane(confirms=True, timeout=0.01)
    bench.feed((0, commands.Connection.Blocked("low on memory")))
    lane.publish(parcel(1))
    await asyncio.sleep(0.05)
    assert bench.wire.is_open

    bench.feed((0, commands.Connection.Unblocked()))
    await tick()
    bench.feed((1, commands.Basic.Ack(1, False)))
    await asyncio.sleep(0.05)

    assert bench.wire.is_open
    assert bench.sent() == [message(1)]
