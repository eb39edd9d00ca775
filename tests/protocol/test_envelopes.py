"""Envelopes: what was said is what is heard, and any bytes are an envelope or an error."""

from __future__ import annotations

import tracemalloc
from typing import Any, get_args

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from atasks_ng.protocol import envelopes
from atasks_ng.protocol.envelopes import Cancel, Envelope, Refusal
from atasks_ng.words.errors import BadMessageError, IncompatibleError, ProtocolError

KINDS: tuple[Any, ...] = get_args(Envelope)

text = st.text()
number = st.integers(min_value=-(2**63), max_value=2**64 - 1)
baggage = st.dictionaries(text, st.binary())
plain = st.none() | st.booleans() | number | st.floats(allow_nan=False) | text

#: What a field of each type may hold, and one value of it.
FIELDS: dict[str, tuple[st.SearchStrategy[Any], Any]] = {
    "str": (text, "text"),
    "str | None": (st.none() | text, None),
    "int": (number, 1),
    "int | None": (st.none() | number, None),
    "bytes": (st.binary(), b"payload"),
    "list[Any]": (st.lists(plain), ["m:f", 1, None]),
    "Baggage | None": (st.none() | baggage, {"v": b""}),
}


def fields_of(kind: Any) -> dict[str, str]:
    """Return the names of the fields of an envelope, and their types as they are written."""
    return {name: each.__forward_arg__ for name, each in kind.__annotations__.items()}


def sample(kind: Any) -> Envelope:
    envelope: Envelope = kind(*[FIELDS[each][1] for each in fields_of(kind).values()])
    return envelope


any_envelope = st.one_of(
    [
        st.builds(kind, **{name: FIELDS[each][0] for name, each in fields_of(kind).items()})
        for kind in KINDS
    ]
)
SAMPLES = [sample(kind) for kind in KINDS]


def name_of(envelope: Envelope) -> str:
    return type(envelope).__name__.lower()


def is_envelope_or_protocol_error(body: bytes) -> bool:
    try:
        envelope = envelopes.decode(body)
    except ProtocolError:
        return True
    return type(envelope) in KINDS


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
    # The last field of a refusal may well be a list.
    where = 2 if type(envelope) is Refusal else -1
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


def test_array_that_announces_more_than_an_envelope_has_takes_no_memory() -> None:
    # Arrays within arrays, each said to have 100,000 items: memory would be taken for all.
    body = b"\x94\x01\x04\xa1i" + b"\xdd\x00\x01\x86\xa0" * 1000 + b"\x01" * 102_400

    tracemalloc.start()
    try:
        with pytest.raises(BadMessageError):
            envelopes.decode(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 * len(body)
