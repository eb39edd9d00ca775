"""What is written on a shared socket, when, and in which order; and how it ends."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from atasks_ng.transport.backends.amqp.lane.pulse import SharedTransport
from tests.transport.amqp.peers import FRAME_MAX, LARGE, Bench, message, parcel, tick


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


async def test_many_messages_of_a_tick_are_written_before_it_ends() -> None:
    bench = Bench()
    lane = bench.lane()
    lane.ack(1)

    for number in range(40):
        lane.publish(parcel(number, 1000))
    assert 1 <= len(bench.socket.writes) <= 4
    early = bench.sent()
    assert early == [message(number, 1000) for number in range(len(early))]
    await tick()

    sent = [message(number, 1000) for number in range(40)]
    assert bench.sent() == [*sent, (1, "ack", 1, False)]


async def test_many_messages_of_a_tick_wait_while_the_socket_is_full() -> None:
    bench = Bench(room=20_000)
    lane = bench.lane()

    for number in range(60):
        lane.publish(parcel(number, 1000))
    await tick()

    assert len(bench.socket.written) < 40_000
    assert not lane.is_writable
    while not lane.is_writable:
        bench.socket.empty()
        await tick()
    assert bench.sent() == [message(number, 1000) for number in range(60)]


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


async def test_a_socket_that_is_gone_is_not_aborted() -> None:
    """asyncio's own fails then, if it was closed with something unsent."""
    bench = Bench()
    bench.lane().publish(parcel(1))

    bench.wire.connection_lost(None)
    bench.wire.abort()

    assert not bench.socket.is_aborted
    assert not bench.wire.is_open


async def test_no_heartbeat_falls_between_the_writes_of_one_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    lane = bench.lane()
    could_write: list[bool] = []
    write = SharedTransport.write

    def write_and_look(self: SharedTransport, data: bytes) -> None:
        write(self, data)
        # As the thread of heartbeats does it: without waiting.
        thread = threading.Thread(
            target=lambda: could_write.append(self._lock.acquire(blocking=False))
        )
        thread.start()
        thread.join()

    monkeypatch.setattr(SharedTransport, "write", write_and_look)
    lane.publish(parcel(1, 3 * LARGE))

    assert len(could_write) > 2
    assert not any(could_write)


async def test_a_broker_may_set_no_limit_to_frames() -> None:
    bench = Bench()
    bench.wire.tune(0, 0)
    lane = bench.lane()
    bodies: list[bytes] = []
    await lane.consume("queue", "consumer", lambda delivered: bodies.append(delivered.body))
    header = ContentHeader(0, 2_000_000, commands.Basic.Properties())

    bench.feed(
        (1, commands.Basic.Deliver("consumer", 1, False, "", "")),
        (1, header),
        (1, ContentBody(b"b" * 2_000_000)),
    )

    assert bodies == [b"b" * 2_000_000]


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
