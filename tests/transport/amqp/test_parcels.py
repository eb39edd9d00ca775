"""Bodies that travel in one message, and acknowledgements by few frames."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atasks_ng.transport.backends.amqp.parcels import Acks, join, part

ENVELOPES = st.lists(st.integers(-9, 9) | st.text() | st.binary(), max_size=5).map(msgpack.packb)


@given(st.lists(ENVELOPES, min_size=1, max_size=10))
def test_part_undoes_join(bodies: list[bytes]) -> None:
    assert part(join(bodies)) == bodies


@given(ENVELOPES)
def test_part_leaves_one_envelope_alone(body: bytes) -> None:
    assert part(body) == [body]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\xc1\x00\x00\x00\x05abcd", id="too short"),
        pytest.param(b"\xc1\x00\x00\x00\x02abc", id="half a length"),
        pytest.param(b"\xc1\x00\x00\x00\x01a\xff\xff\xff\xff", id="a length without a body"),
    ],
)
def test_part_leaves_what_is_joined_wrongly(body: bytes) -> None:
    assert part(body) == [body]


@given(st.binary(max_size=50))
def test_part_survives_noise(noise: bytes) -> None:
    found = part(b"\xc1" + noise)

    assert found == [b"\xc1" + noise] or join(found) == b"\xc1" + noise


class Broker:
    """What a broker makes of acknowledgements."""

    def __init__(self) -> None:
        self.unsettled: set[int] = set()

    def settle(self, tag: int, multiple: bool) -> set[int]:
        # An unknown tag closes the channel.
        assert tag in self.unsettled
        settled = {each for each in self.unsettled if each <= tag} if multiple else {tag}
        self.unsettled -= settled
        return settled


@given(st.data())
def test_acks_cover_what_is_settled_and_nothing_else(data: st.DataObject) -> None:
    acks, broker = Acks(), Broker()
    held: list[int] = []
    done: set[int] = set()
    last = 0
    for _ in range(data.draw(st.integers(0, 40))):
        ops = ["deliver", "take"] + (["settle", "skip"] if held else [])
        op = data.draw(st.sampled_from(ops))
        if op == "deliver":
            last += 1
            held.append(last)
            broker.unsettled.add(last)
            acks.delivered(last)
        elif op == "take":
            for tag, multiple in acks.take():
                done -= broker.settle(tag, multiple)
            assert done == set()
        else:
            tag = held.pop(data.draw(st.integers(0, len(held) - 1)))
            if op == "settle":
                acks.settle(tag)
                done.add(tag)
            else:
                acks.skip(tag)
                broker.unsettled.discard(tag)
        assert set(held) <= broker.unsettled


def test_acks_of_a_run_are_one_frame() -> None:
    acks = Acks()
    for tag in range(1, 11):
        acks.delivered(tag)
    for tag in (3, 1, 2, 4, 7):
        acks.settle(tag)

    assert acks.take() == [(4, True), (7, False)]
    assert acks.take() == []
