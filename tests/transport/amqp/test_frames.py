"""Frames that are built here are those that pamqp builds; properties are read without trust."""

from __future__ import annotations

from typing import Any

import pamqp.frame
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from atasks_ng.protocol.pieces import Pieces
from atasks_ng.transport.backends.amqp.lane import frames
from atasks_ng.transport.backends.amqp.lane.frames import Template
from atasks_ng.transport.backends.amqp.parcels import CONTENT_TYPE, Parcel
from tests.transport.amqp.streams import PROPERTIES

CHANNELS = st.integers(1, 65535)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789._-:", min_size=1, max_size=100)
IDS = st.text("0123456789abcdef", min_size=32, max_size=32)

BODIES = st.sampled_from([0, 1, 99, 100, 101, 250]).map(lambda size: b"b" * size)

PARCELS = st.builds(
    Parcel,
    exchange=NAMES,
    key=NAMES | st.just(""),
    body=BODIES | st.builds(Pieces, BODIES, BODIES, BODIES),
    id=IDS,
    reply_to=st.none() | NAMES,
    ttl_ms=st.none() | st.integers(0, 2**32 - 2),
    mandatory=st.booleans(),
    persistent=st.booleans(),
)


def marshal(channel: int, parcel: Parcel, limit: int) -> bytes:
    """Return the frames as pamqp makes them."""
    properties = commands.Basic.Properties(
        content_type=CONTENT_TYPE,
        headers=parcel.headers,
        delivery_mode=2 if parcel.persistent else 1,
        correlation_id=parcel.id,
        reply_to=parcel.reply_to,
        expiration=None if parcel.ttl_ms is None else str(parcel.ttl_ms),
    )
    body = bytes(parcel.body)
    parts: list[Any] = [
        commands.Basic.Publish(0, parcel.exchange, parcel.key, parcel.mandatory, False),
        ContentHeader(0, len(body), properties),
        *[ContentBody(body[at : at + limit]) for at in range(0, len(body), limit)],
    ]
    return b"".join(pamqp.frame.marshal(part, channel) for part in parts)


def ttl_of(parcel: Parcel) -> bytes:
    return b"" if parcel.ttl_ms is None else str(parcel.ttl_ms).encode()


@given(CHANNELS, PARCELS)
def test_whole_is_what_pamqp_makes(channel: int, parcel: Parcel) -> None:
    made = Template(channel, parcel).whole(parcel.id.encode(), ttl_of(parcel), parcel.body)

    assert made == marshal(channel, parcel, 1000)


@given(CHANNELS, PARCELS, st.sampled_from([1, 100, 125, 1000]))
def test_pieces_are_what_pamqp_makes(channel: int, parcel: Parcel, limit: int) -> None:
    template = Template(channel, parcel)

    pieces = template.pieces(parcel.id.encode(), ttl_of(parcel), parcel.body, limit)

    assert b"".join(pieces) == marshal(channel, parcel, limit)


def test_pieces_are_views_of_the_body() -> None:
    parcel = Parcel("exchange", "key", b"x" * 1000, "0" * 32)

    pieces = Template(1, parcel).pieces(b"0" * 32, b"", parcel.body, 300)

    views = [piece for piece in pieces if isinstance(piece, memoryview)]
    assert [view.obj is parcel.body for view in views] == [True] * 4


def test_pieces_of_a_body_in_pieces_are_views_of_its_parts() -> None:
    parts = (b"x" * 250, b"y" * 400)
    parcel = Parcel("exchange", "key", Pieces(*parts), "0" * 32)

    pieces = Template(1, parcel).pieces(b"0" * 32, b"", parcel.body, 300)

    views = [piece for piece in pieces if isinstance(piece, memoryview)]
    assert [len(view) for view in views] == [250, 50, 300, 50]
    assert [view.obj is parts[0] for view in views] == [True, False, False, False]


def test_a_template_serves_every_message_to_one_address() -> None:
    first = Parcel("exchange", "key", b"one", "0" * 32, "address", 10)
    second = Parcel("exchange", "key", b"another", "f" * 32, "address", 99)

    made = Template(5, first).whole(second.id.encode(), b"99", second.body)

    assert made == marshal(5, second, 1000)


@given(CHANNELS, PARCELS, st.sampled_from([1, 100, 1000]))
def test_message_is_what_pamqp_makes(channel: int, parcel: Parcel, limit: int) -> None:
    parcel.headers = {"reason": "why", "queue": "q"}
    parcel.id = "an id of another client"

    assert frames.message(channel, parcel, limit) == marshal(channel, parcel, limit)


@given(CHANNELS, st.integers(0, 2**63 - 1), st.booleans())
def test_ack_and_requeue_are_what_pamqp_makes(channel: int, tag: int, multiple: bool) -> None:
    ack = commands.Basic.Ack(tag, multiple)
    nack = commands.Basic.Nack(tag, False, True)

    assert frames.ack(channel, tag, multiple=multiple) == pamqp.frame.marshal(ack, channel)
    assert frames.requeue(channel, tag) == pamqp.frame.marshal(nack, channel)


@pytest.mark.parametrize(("agreed", "limit"), [(131072, 131064), (4096, 4088), (0, 131064)])
def test_body_limit_leaves_room_for_the_frame(agreed: int, limit: int) -> None:
    assert frames.body_limit(agreed) == limit


# -- reading -----------------------------------------------------------------------------------


@given(PROPERTIES)
def test_read_sender_finds_both_among_all_properties(
    properties: commands.Basic.Properties,
) -> None:
    header = ContentHeader(0, 5, properties).marshal()

    sender = frames.read_sender(header)

    assert sender == (properties.correlation_id or None, properties.reply_to or None)


@given(PROPERTIES, st.data())
def test_read_sender_survives_damage(
    properties: commands.Basic.Properties, data: st.DataObject
) -> None:
    header = bytearray(ContentHeader(0, 5, properties).marshal())
    at = data.draw(st.integers(12, len(header)))
    header[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=5))

    id, reply_to = frames.read_sender(bytes(header))

    assert id is None or isinstance(id, str)
    assert reply_to is None or isinstance(reply_to, str)


@given(st.binary(max_size=60))
@example(b"")
@example(b"\xff" * 60)
def test_read_sender_survives_noise(noise: bytes) -> None:
    frames.read_sender(b"\x00" * 12 + noise)


def test_read_sender_skips_further_flags() -> None:
    # Bit 0 of a word of flags says that another word follows; no property has one yet.
    header = b"\x00" * 12 + b"\x04\x01\x00\x00" + b"\x02id"

    assert frames.read_sender(header) == ("id", None)


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param(b"\x04\x00\x05id", id="longer than the header"),
        pytest.param(b"\x04\x00\x02\xff\xfe", id="not UTF-8"),
        pytest.param(b"\x24\x00\xff\xff\xff\xff\x02id", id="a table without an end"),
        pytest.param(b"\x04", id="half a flag"),
        pytest.param(b"\xff\xff", id="nothing but flags"),
    ],
)
def test_read_sender_of_broken_properties_is_nobody(properties: bytes) -> None:
    assert frames.read_sender(b"\x00" * 12 + properties) == (None, None)


@given(st.lists(PROPERTIES, max_size=4))
def test_senders_reads_what_read_sender_does(several: list[commands.Basic.Properties]) -> None:
    senders = frames.Senders()
    headers = [ContentHeader(0, 5, properties).marshal() for properties in several]

    for header in [*headers, *headers]:
        assert senders.read(header) == frames.read_sender(header)


@given(st.lists(st.tuples(PARCELS, IDS), min_size=1, max_size=5))
def test_senders_knows_requests_of_ours_again(several: list[tuple[Parcel, str]]) -> None:
    senders = frames.Senders()

    for parcel, other in several:
        for id in (parcel.id, other):
            whole = Template(1, parcel).whole(id.encode(), ttl_of(parcel), b"body")
            header = whole[whole.index(b"\x02\x00\x01") + 7 : -12]
            assert senders.read(header) == frames.read_sender(header)
            assert senders.read(header) == (id, parcel.reply_to)


def test_senders_remembers_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "_MAX_SENDERS", 2)
    senders = frames.Senders()

    for number in range(10):
        properties = commands.Basic.Properties(
            content_type=CONTENT_TYPE,
            delivery_mode=1,
            correlation_id="0" * 32,
            reply_to=f"process {number}",
        )
        assert senders.read(ContentHeader(0, 5, properties).marshal())[1] == f"process {number}"

    assert len(senders._addresses) == 2


@given(NAMES, NAMES, st.text(max_size=50))
def test_read_route_finds_exchange_and_key(exchange: str, key: str, text: str) -> None:
    method = commands.Basic.Return(312, text, exchange, key)
    payload = pamqp.frame.marshal(method, 1)[7:-1]

    assert frames.read_route(payload) == (exchange, key)
    for size in range(len(payload)):
        with pytest.raises(ValueError, match="cut short"):
            frames.read_route(payload[:size])
