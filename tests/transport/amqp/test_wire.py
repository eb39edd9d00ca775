"""What is written on a shared socket, when, and in which order."""

from __future__ import annotations

import asyncio
from typing import Any

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands
from pamqp.heartbeat import Heartbeat

from atasks_ng.transport.backends.amqp.lane import FastLane, fast
from atasks_ng.transport.backends.amqp.parcels import Delivered, Parcel, join, part
from tests.transport.amqp.peers import FRAME_MAX, Bench, tick

LARGE = 300 * 1024


def parcel(number: int, size: int = 10, *, joins: bool = False) -> Parcel:
    return Parcel("exchange", "key", _body(number, size), f"{number:032x}", joins=joins)


def message(number: int, size: int = 10, channel: int = 1) -> tuple[int, str, bytes]:
    return (channel, f"{number:032x}", _body(number, size))


def _body(number: int, size: int) -> bytes:
    return b"%09d" % number + b"b" * (size - 9)


async def test_messages_of_a_tick_are_one_write() -> None:
    bench = Bench()
    lane, other = bench.lane(1), bench.lane(2)

    for number in range(10):
        lane.publish(parcel(number))
    other.publish(parcel(10))
    assert bench.socket.writes == []
    await tick()

    assert len(bench.socket.writes) == 1
    assert bench.sent() == [*map(message, range(10)), message(10, channel=2)]


async def test_a_message_that_comes_alone_is_written_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    lane = bench.lane()
    await lane.consume("queue", "consumer", lambda _: None)
    bench.deliver(1)
    lane.publish(parcel(1))
    await tick()
    now = 1000.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)

    lane.answer(1, parcel(2))
    assert bench.sent() == [message(1), message(2), (1, "ack", 1, False)]
    now += 1
    lane.publish(parcel(3))
    assert bench.sent()[3:] == [message(3)]
    # So soon after it, the next one is not alone any more.
    lane.publish(parcel(4))
    lane.publish(parcel(5))
    assert len(bench.socket.writes) == 3
    await tick()
    assert bench.sent()[4:] == [message(4), message(5)]

    # The last tick had two: it is busy, and the end of this one is waited for.
    now += 1
    lane.publish(parcel(6))
    assert len(bench.socket.writes) == 4
    await tick()
    assert len(bench.socket.writes) == 5
    monkeypatch.undo()


async def test_acknowledgements_follow_all_messages_in_the_same_write() -> None:
    bench = Bench()
    lane = bench.lane()
    await lane.consume("queue", "consumer", lambda _: None)
    bench.deliver(1, 2, 3)

    lane.answer(1, parcel(1))
    lane.answer(2, parcel(2))
    lane.publish(parcel(3))
    await tick()

    assert len(bench.socket.writes) == 1
    assert bench.sent() == [message(1), message(2), message(3), (1, "ack", 2, True)]


async def test_a_large_answer_goes_before_its_acknowledgement() -> None:
    bench = Bench()
    lane = bench.lane()
    await lane.consume("queue", "consumer", lambda _: None)
    bench.deliver(1)

    lane.publish(parcel(1))
    lane.answer(1, parcel(2, LARGE))
    await tick()

    assert bench.sent() == [message(1), message(2, LARGE), (1, "ack", 1, False)]


async def test_a_large_body_is_not_copied_into_one_write() -> None:
    bench = Bench()
    lane = bench.lane()

    lane.publish(parcel(1, LARGE))

    assert max(map(len, bench.socket.writes)) <= 2 * FRAME_MAX
    assert bench.sent() == [message(1, LARGE)]


async def test_what_goes_back_goes_before_acknowledgements() -> None:
    bench = Bench()
    lane = bench.lane()
    await lane.consume("queue", "consumer", lambda _: None)
    bench.deliver(1, 2, 3)

    lane.ack(1)
    lane.ack(3)
    lane.requeue(2)
    await tick()

    assert bench.sent() == [(1, "requeue", 2, False), (1, "ack", 3, True)]


async def test_nothing_is_written_while_the_socket_is_full() -> None:
    bench = Bench(room=1000)
    lane = bench.lane()
    lane.publish(parcel(0, 2000))
    await tick()
    lane.publish(parcel(1))
    lane.ack(1)
    await tick()
    assert bench.sent() == [message(0, 2000)]
    assert not lane.is_writable

    bench.socket.empty()
    await tick()

    assert bench.sent() == [message(0, 2000), message(1), (1, "ack", 1, False)]
    assert lane.is_writable


async def test_nothing_is_written_while_the_broker_is_blocked() -> None:
    bench = Bench()
    lane = bench.lane()
    bench.feed((0, commands.Connection.Blocked("low on memory")))
    lane.publish(parcel(1))
    lane.publish(parcel(2, LARGE))
    lane.ack(1)
    await tick()
    assert bench.socket.writes == []
    assert lane.is_blocked
    assert not lane.is_writable

    bench.feed((0, commands.Connection.Unblocked()))
    await tick()

    assert bench.sent() == [message(1), message(2, LARGE), (1, "ack", 1, False)]
    assert lane.is_writable


async def test_a_lane_is_not_writable_while_much_waits() -> None:
    bench = Bench()
    lane = bench.lane()

    for number in range(20):
        lane.publish(parcel(number, 60_000))

    assert not lane.is_writable
    await tick()
    assert lane.is_writable


def reply(number: int, size: int = 10, address: str = "address") -> Parcel:
    return Parcel("exchange", address, b"%d" % number * size, f"{number:032x}", joins=True)


async def test_answers_of_a_tick_to_one_address_are_one_message() -> None:
    bench = Bench()
    lane = bench.lane()
    await lane.consume("queue", "consumer", lambda _: None)
    bench.deliver(1, 2, 3)

    for number in (1, 2, 3):
        lane.answer(number, reply(number, address="here" if number < 3 else "there"))
    await tick()

    joined = join([b"1" * 10, b"2" * 10])
    assert bench.sent() == [
        (1, f"{1:032x}", joined),
        (1, f"{3:032x}", b"3" * 10),
        (1, "ack", 3, True),
    ]


async def test_joined_answers_are_no_larger_than_a_frame() -> None:
    bench = Bench()
    lane = bench.lane()

    for number in range(100):
        lane.publish(reply(number, 1000))
    await tick()

    sizes = [len(body) for _, _, body in bench.sent()]
    assert max(sizes) < 128 * 1024
    assert 2 <= len(sizes) <= 4


async def test_joined_and_other_messages_to_one_address_keep_their_order() -> None:
    bench = Bench()
    lane = bench.lane()

    for number in range(6):
        size = 100_000 if number in (2, 4) else 1
        lane.publish(reply(number, size))
    await tick()

    found = [body for _, _, whole in bench.sent() for body in part(whole)]
    assert [body[:1] for body in found] == [b"0", b"1", b"2", b"3", b"4", b"5"]


async def test_nothing_is_joined_after_the_end() -> None:
    bench = Bench()
    lane = bench.lane()
    lane.publish(reply(1))

    await lane.close()
    lane.publish(reply(2))
    await tick()

    assert bench.socket.writes == []


async def test_joined_answers_wait_for_one_confirmation() -> None:
    bench = Bench()
    lane = await _confirming(bench)
    bench.deliver(1, 2, 3)
    for number in (1, 2, 3):
        lane.answer(number, reply(number))
    await tick()
    assert len(bench.sent()) == 1

    bench.feed((1, commands.Basic.Ack(1, False)))
    await tick()

    assert bench.sent()[1:] == [(1, "ack", 3, True)]


OPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from([0, 1])),
        st.tuples(st.just("publish large"), st.sampled_from([0, 1])),
        st.tuples(st.just("answer"), st.sampled_from([0, 1])),
        st.sampled_from(["tick", "empty", "block", "unblock"]).map(lambda op: (op, 0)),
    ),
    max_size=30,
)


@given(OPS)
def test_flow_control_keeps_the_order_and_loses_nothing(ops: list[tuple[str, int]]) -> None:
    asyncio.run(_check_flow(ops))


async def _check_flow(ops: list[tuple[str, int]]) -> None:
    bench = Bench(room=500)
    lanes = [bench.lane(1), bench.lane(2)]
    for lane in lanes:
        await lane.consume("queue", "consumer", lambda _: None)
    published: list[list[Any]] = [[], []]
    answers: list[list[Any]] = [[], []]
    for number, (op, which) in enumerate(ops):
        lane, channel = lanes[which], which + 1
        size = 100_000 if op == "publish large" else 50
        if op.startswith("publish"):
            lane.publish(parcel(number, size))
        elif op == "answer":
            tag = len(answers[which]) + 1
            bench.deliver(tag, number=channel)
            lane.answer(tag, parcel(number, size, joins=number % 2 == 0))
            answers[which].append(number)
        elif op == "tick":
            await tick()
        elif op == "empty":
            bench.socket.empty()
        else:
            method = commands.Connection.Blocked if op == "block" else commands.Connection.Unblocked
            bench.feed((0, method()))
        if op.startswith("publish") or op == "answer":
            published[which].append(number)
    bench.feed((0, commands.Connection.Unblocked()))
    for _ in ops:
        bench.socket.empty()
        await tick()

    sent = bench.sent()
    for which in (0, 1):
        own = [entry for entry in sent if entry[0] == which + 1]
        assert [number for entry in own for number in _numbers(entry)] == published[which]
        _check_acks(own, answers[which])


def _numbers(entry: Any) -> list[int]:
    """Return the numbers of the parcels that a message consists of."""
    return [] if entry[1] == "ack" else [int(body[:9]) for body in part(entry[2])]


def _check_acks(sent: list[Any], answers: list[int]) -> None:
    """Each answer before its acknowledgement, and each acknowledged once."""
    acknowledged = 0
    seen: set[int] = set()
    for entry in sent:
        seen.update(_numbers(entry))
        if entry[1] == "ack":
            assert entry[2] > acknowledged
            acknowledged = entry[2]
            assert set(answers[:acknowledged]) <= seen
    assert acknowledged == len(answers)


# -- receiving ---------------------------------------------------------------------------------


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


# -- ending ------------------------------------------------------------------------------------


async def test_a_broken_stream_ends_the_connection() -> None:
    bench = Bench(room=10)
    lane = bench.lane()
    lane.publish(parcel(1))
    await tick()
    lane.publish(parcel(2))
    draining = asyncio.create_task(bench.wire.drain())
    await tick()

    bench.wire.take(b"no frame of any kind")
    bench.deliver(1)
    lane.publish(parcel(3))
    await asyncio.wait_for(draining, 1)

    assert bench.socket.is_aborted
    assert bench.sent() == [message(1)]
    with pytest.raises(ConnectionError, match="no frame"):
        await bench.wire.reader.readexactly(1)


@pytest.mark.parametrize(
    "method",
    [
        pytest.param((0, commands.Connection.Close(320, "bye", 0, 0)), id="connection"),
        pytest.param((1, commands.Channel.Close(406, "bye", 0, 0)), id="channel"),
        pytest.param((1, commands.Channel.CloseOk()), id="channel, by us"),
    ],
)
async def test_nothing_is_sent_after_the_broker_closes(method: tuple[int, Any]) -> None:
    bench = Bench()
    lane = bench.lane()
    lane.publish(parcel(1))
    lane.ack(1)

    bench.feed(method)
    lane.publish(parcel(2))
    lane.ack(2)
    lane.answer(3, parcel(3))
    lane.requeue(4)
    await tick()

    assert bench.socket.writes == []


async def test_a_lost_connection_ends_lanes_and_waits() -> None:
    bench = Bench(room=10)
    lane = bench.lane()
    lane.publish(parcel(1))
    await tick()
    flushing = asyncio.create_task(lane.flush())
    await tick()

    bench.wire.connection_lost(ConnectionResetError("cut"))
    await asyncio.wait_for(flushing, 1)
    lane.publish(parcel(2))
    await tick()

    assert not bench.wire.is_open
    assert bench.sent() == [message(1)]
    with pytest.raises(ConnectionResetError):
        await bench.wire.reader.readexactly(1)


async def test_nothing_is_written_to_a_socket_that_is_being_closed() -> None:
    bench = Bench()
    lane = bench.lane()
    lane.publish(parcel(1))

    bench.socket.close()
    await tick()

    assert bench.socket.writes == []
    assert not bench.wire.is_open


async def test_flush_probes_the_broker_behind_what_was_sent() -> None:
    bench = Bench()
    lane = bench.lane()
    lane.publish(parcel(1))

    await lane.flush()

    assert bench.sent() == [message(1)]
    assert lane.channel.asked == ["probe amq.direct"]  # type: ignore[attr-defined]


# -- confirmations -----------------------------------------------------------------------------


async def _confirming(bench: Bench) -> FastLane:
    lane = bench.lane(confirms=True)
    await lane.consume("queue", "consumer", lambda _: None)
    return lane


async def test_with_confirmations_acknowledgements_wait_for_them() -> None:
    bench = Bench()
    lane = await _confirming(bench)
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
    lane = await _confirming(bench)
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
    lane = await _confirming(bench)
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
