"""Envelopes: what was said is what is heard, and any bytes are an envelope or an error."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from atasks_ng.protocol import envelopes
from atasks_ng.protocol.envelopes import (
    Cancel,
    Cancelled,
    Envelope,
    Failure,
    Item,
    Notice,
    Pull,
    Refusal,
    Request,
    Value,
)
from atasks_ng.words.errors import BadMessageError, IncompatibleError, ProtocolError

text = st.text()
number = st.integers(min_value=-(2**63), max_value=2**64 - 1)
baggage = st.none() | st.dictionaries(text, st.binary())
plain = st.none() | st.booleans() | number | st.floats(allow_nan=False) | text

KINDS: dict[type, st.SearchStrategy[Any]] = {
    Request: st.builds(
        Request,
        id=text,
        task=text,
        codec=text,
        ttl_ms=st.none() | number,
        depth=number,
        parent=st.none() | text,
        root=text,
        credit=number,
        context=baggage,
        payload=st.binary(),
    ),
    Value: st.builds(Value, text, number, baggage, st.binary()),
    Failure: st.builds(Failure, text, number, baggage, st.binary()),
    Refusal: st.builds(Refusal, text, text, st.lists(plain)),
    Notice: st.builds(Notice, text, text, text),
    Cancel: st.builds(Cancel, text, text, st.none() | text),
    Cancelled: st.builds(Cancelled, text, st.none() | text),
    Item: st.builds(Item, text, text, number, text, baggage, st.binary()),
    Pull: st.builds(Pull, text, text, number, number, number, baggage, st.binary()),
}
any_envelope = st.one_of(*KINDS.values())

SAMPLES: list[Envelope] = [
    Request("i", "m:f", "MsgpackCodec", None, 0, None, "i", 0, None, b"args"),
    Value("i", 0, None, b"value"),
    Failure("i", 1, {"v": b""}, b"failure"),
    Refusal("i", "UnknownTaskError", ["m:f", "default", "w"]),
    Notice("i", "cancelling", "w"),
    Cancel("i", "cancel", None),
    Cancelled("i", "why"),
    Item("i", "r", 1, "address", None, b"item"),
    Pull("i", "next", 0, 1, 2, None, b""),
]


def name_of(envelope: Envelope) -> str:
    return type(envelope).__name__.lower()


def is_envelope_or_protocol_error(body: bytes) -> bool:
    try:
        envelope = envelopes.decode(body)
    except ProtocolError:
        return True
    return type(envelope) in KINDS


def test_samples_cover_every_kind() -> None:
    assert [type(sample) for sample in SAMPLES] == list(KINDS)


@given(any_envelope)
def test_envelope_arrives_as_it_was_sent(envelope: Envelope) -> None:
    assert envelopes.decode(envelopes.encode(envelope)) == envelope


@pytest.mark.parametrize("envelope", SAMPLES, ids=name_of)
def test_envelope_keeps_its_kind(envelope: Envelope) -> None:
    assert type(envelopes.decode(envelopes.encode(envelope))) is type(envelope)


@pytest.mark.parametrize("envelope", SAMPLES, ids=name_of)
def test_unknown_trailing_fields_are_ignored(envelope: Envelope) -> None:
    fields = msgpack.unpackb(envelopes.encode(envelope))

    longer = msgpack.packb([*fields, "something", {"of": "a later release"}])

    assert envelopes.decode(longer) == envelope


@pytest.mark.parametrize("envelope", SAMPLES, ids=name_of)
def test_missing_field_is_a_bad_message(envelope: Envelope) -> None:
    fields = msgpack.unpackb(envelopes.encode(envelope))

    with pytest.raises(BadMessageError, match="too few fields"):
        envelopes.decode(msgpack.packb(fields[:-1]))


@pytest.mark.parametrize("wrong", [True, 1.5, ["x"]], ids=repr)
@pytest.mark.parametrize("envelope", SAMPLES, ids=name_of)
def test_field_of_a_wrong_type_is_a_bad_message(envelope: Envelope, wrong: object) -> None:
    fields = msgpack.unpackb(envelopes.encode(envelope))
    # The last field of a refusal is a list.
    where = 2 if wrong == ["x"] else -1
    fields[where] = wrong

    with pytest.raises(BadMessageError, match="wrong type"):
        envelopes.decode(msgpack.packb(fields))


def test_other_version_is_incompatible_and_says_both() -> None:
    body = msgpack.packb([envelopes.VERSION + 1, 1, "i"])

    with pytest.raises(IncompatibleError) as caught:
        envelopes.decode(body)

    assert caught.value.args == ("version", envelopes.VERSION + 1, envelopes.VERSION)


@pytest.mark.parametrize("kind", [0, 99, -1, "request", None, True])
def test_unknown_kind_is_a_bad_message(kind: object) -> None:
    with pytest.raises(BadMessageError, match="unknown kind"):
        envelopes.decode(msgpack.packb([envelopes.VERSION, kind, "i"]))


@given(st.binary())
@example(b"")
@example(b"\xc1")
@example(b"\x91" * 5000)
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xdf\xff\xff\xff\xff")
@example(b"\x93\x01\x01\xd9\x02\xff\xff")
@example(b"\x93\x01\x01\xd6\xff\x00\x00\x00\x00")
@example(b"\x93\x01\x01\x81\x90\x01")
def test_any_bytes_are_an_envelope_or_a_protocol_error(body: bytes) -> None:
    assert is_envelope_or_protocol_error(body)


@given(any_envelope, st.data())
def test_damaged_envelope_is_an_envelope_or_a_protocol_error(
    envelope: Envelope, data: st.DataObject
) -> None:
    body = bytearray(envelopes.encode(envelope))
    where = data.draw(st.integers(0, len(body) - 1))

    body[where] = data.draw(st.integers(0, 255))

    assert is_envelope_or_protocol_error(bytes(body))
    assert is_envelope_or_protocol_error(bytes(body[:where]))


def test_text_that_is_no_unicode_survives() -> None:
    # os.fsdecode() makes such text, and so does a cancel message taken from it.
    envelope = Cancel("i", "cancel", "caf\udce9")

    assert envelopes.decode(envelopes.encode(envelope)) == envelope
