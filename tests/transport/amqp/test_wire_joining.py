"""Answers that share a message, and the order of everything whatever the socket takes."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands

from atasks_ng.transport.backends.amqp.parcels import Parcel, join, part
from tests.transport.amqp.peers import Bench, confirming, parcel, tick


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
    lane = await confirming(bench)
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
