"""Bodies in pieces: the same bytes, uncopied until they are asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atasks_ng.codecs.keys import KeyRing
from atasks_ng.protocol import envelopes
from atasks_ng.protocol.envelopes import Failure, Item, Pull, Refusal, Request, Value
from atasks_ng.protocol.pieces import Pieces, parts_of
from atasks_ng.protocol.seals import Checksum, Seal, Signature, about_process

LARGE = 16 * 1024
SIZES = [0, 1, LARGE - 1, LARGE, 65_535, 65_536, 300_000]
ABOUT = about_process("reply.there")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "envelope",
    [
        Request("id", "m:f", "c", None, 0, None, "id", 0, 1, 1, {"v": b"b"}, b""),
        Value("id", 0, None, b""),
        Failure("id", 0, {"v": b""}, b""),
        Item("id", "run", 1, "origin", None, b""),
        Pull("id", "next", 0, 0, 1, None, b""),
    ],
    ids=lambda envelope: type(envelope).__name__.lower(),
)
def test_envelope_in_pieces_has_the_same_bytes(envelope: envelopes.Envelope, size: int) -> None:
    whole = envelope._replace(payload=b"p" * size)  # type: ignore[call-arg]

    body = envelopes.encode_in_pieces(whole)

    assert bytes(body) == envelopes.encode(whole)
    assert len(body) == len(bytes(body))
    assert envelopes.decode(bytes(body)) == whole


def test_large_payload_is_not_copied() -> None:
    payload = b"p" * LARGE

    body = envelopes.encode_in_pieces(Value("id", 0, None, payload))

    assert isinstance(body, Pieces)
    assert body.parts[-1] is payload


def test_envelope_without_a_payload_is_whole() -> None:
    refusal = Refusal("id", "RemoteError", ["t" * LARGE])

    assert envelopes.encode_in_pieces(refusal) == envelopes.encode(refusal)
    assert type(envelopes.encode_in_pieces(refusal)) is bytes


@pytest.mark.parametrize(
    "seal",
    [
        Checksum("default"),
        Signature(KeyRing("the key of these tests"), "default", "c", lambda: 1_000_000.5),
    ],
    ids=["checksum", "signature"],
)
@given(parts=st.lists(st.binary(max_size=20), min_size=1, max_size=4))
def test_seal_of_pieces_is_that_of_the_whole(seal: Seal, parts: list[bytes]) -> None:
    body = Pieces(*parts)

    sealed = seal.seal(body, ABOUT)

    assert isinstance(sealed, Pieces)
    assert bytes(sealed) == seal.seal(bytes(body), ABOUT)
    assert bytes(seal.open(bytes(sealed), ABOUT)) == b"".join(parts)


def test_pieces_are_told_apart_by_what_they_hold() -> None:
    assert Pieces(b"a", b"bc") == Pieces(b"ab", b"c") == b"abc"
    assert Pieces(b"a") != b"b"
    assert Pieces(b"a") != "a"
    assert repr(Pieces(b"a", b"bc")) == "<Pieces of 3 bytes>"
    assert parts_of(b"abc") == (b"abc",)
    assert parts_of(Pieces(b"a", b"bc")) == (b"a", b"bc")
