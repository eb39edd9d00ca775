"""Seals: one bit changed, another receiver, namespace, codec or key, and nothing is opened."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atasks_ng.codecs.keys import KeyRing
from atasks_ng.protocol.seals import (
    ABOUT_WORKERS,
    WINDOW,
    Checksum,
    Seal,
    Signature,
    about_process,
    about_request,
)
from atasks_ng.words.errors import BadMessageError, ProtocolError, SignatureError

KEY, OTHER_KEY = "the key of these tests", "another key of these tests"
ABOUT = about_process("reply.there")
BODY = b"what is said in it"


def signature(
    key: object = KEY,
    namespace: str = "default",
    codec: str = "MsgpackCodec",
    clock: Callable[[], float] = lambda: 1_000_000.5,
) -> Signature:
    return Signature(KeyRing(key), namespace, codec, clock)  # type: ignore[arg-type]


SEALS = [Checksum("default"), signature()]


@pytest.fixture(params=SEALS, ids=["checksum", "signature"])
def seal(request: pytest.FixtureRequest) -> Seal:
    found: Seal = request.param
    return found


@pytest.mark.parametrize("size", [0, 1, 100, 1018, 1019, 1020, 100_000])
@pytest.mark.parametrize("about", [ABOUT, ABOUT_WORKERS, about_request("")])
def test_what_is_sealed_is_opened(seal: Seal, size: int, about: bytes) -> None:
    body = os.urandom(size)

    assert seal.open(seal.seal(body, about), about) == body


@pytest.mark.parametrize("size", [0, 1, 100, 100_000])
def test_checksum_is_the_crc_32_that_everybody_has(size: int) -> None:
    """So processes understand each other, whatever computes it."""
    body = os.urandom(size)

    sealed = bytes(Checksum("default").seal(body, ABOUT))

    assert sealed == body + zlib.crc32(ABOUT + body).to_bytes(4, "big") + b"\x01"


def test_checksum_needs_no_extra() -> None:
    program = (
        "import sys; sys.modules['isal'] = None\n"
        "from atasks_ng.protocol.seals import Checksum\n"
        f"sys.stdout.write(Checksum('default').seal(b'body', {ABOUT!r}).hex())\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == bytes(Checksum("default").seal(b"body", ABOUT)).hex()


def test_large_body_is_opened_without_a_copy(seal: Seal) -> None:
    sealed = seal.seal(os.urandom(100_000), ABOUT)

    opened = seal.open(sealed, ABOUT)

    assert isinstance(opened, memoryview)
    assert opened.obj is sealed


def test_seals_are_short() -> None:
    assert [len(seal.seal(b"", ABOUT)) for seal in SEALS] == [5, 29]


def test_every_single_flipped_bit_is_noticed(seal: Seal) -> None:
    sealed = seal.seal(BODY, ABOUT)

    for bit in range(8 * len(sealed)):
        damaged = bytearray(sealed)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ProtocolError):
            seal.open(bytes(damaged), ABOUT)


def test_every_cut_is_noticed(seal: Seal) -> None:
    sealed = seal.seal(BODY, ABOUT)

    for end in range(len(sealed)):
        with pytest.raises(ProtocolError):
            seal.open(sealed[:end], ABOUT)
        with pytest.raises(ProtocolError):
            seal.open(sealed[end + 1 :], ABOUT)


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_what_nobody_sealed_is_not_opened_and_ends(noise: bytes, about: bytes) -> None:
    for seal in SEALS:
        with pytest.raises(ProtocolError):
            seal.open(noise, about)


@given(st.binary(max_size=300), st.text(max_size=60), st.text(max_size=60), st.data())
def test_a_seal_holds_for_its_body_and_receiver_only(
    body: bytes, address: str, other: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(body)))
    noise = data.draw(st.binary(max_size=4))
    changed = body[:start] + noise + body[start + len(noise) :]
    for seal in SEALS:
        sealed = seal.seal(body, about_process(address))

        assert seal.open(sealed, about_process(address)) == body
        if other != address:
            with pytest.raises(ProtocolError):
                seal.open(sealed, about_process(other))
        if changed != body:
            with pytest.raises(ProtocolError):
                seal.open(changed + sealed[len(body) :], about_process(address))


@pytest.mark.parametrize(
    "about",
    [
        about_process("reply.here"),
        about_process(""),
        about_request("reply.there"),
        ABOUT_WORKERS,
        ABOUT + b"\x00",
    ],
)
def test_message_is_not_opened_as_another_kind_or_by_another_process(
    seal: Seal, about: bytes
) -> None:
    with pytest.raises(ProtocolError):
        seal.open(seal.seal(BODY, ABOUT), about)


@pytest.mark.parametrize(
    "other",
    [
        signature(OTHER_KEY),
        signature(namespace="other"),
        signature(namespace="defaul"),
        signature(codec="PickleCodec"),
        signature(namespace="defaultM", codec="sgpackCodec"),
    ],
    ids=["key", "namespace", "shorter namespace", "codec", "boundary"],
)
def test_signature_holds_for_its_key_namespace_and_codec_only(other: Signature) -> None:
    with pytest.raises(SignatureError):
        other.open(signature().seal(BODY, ABOUT), ABOUT)
    with pytest.raises(SignatureError):
        signature().open(other.seal(BODY, ABOUT), ABOUT)


def test_signature_of_an_unknown_key_under_a_known_name_is_refused() -> None:
    sealed = bytearray(signature(OTHER_KEY).seal(BODY, ABOUT))
    sealed[len(BODY) : len(BODY) + 4] = KeyRing(KEY).current.id

    with pytest.raises(SignatureError, match="does not fit"):
        signature().open(bytes(sealed), ABOUT)


def test_part_of_the_body_cannot_become_part_of_what_it_is_about() -> None:
    long, short = about_process("reply.there"), about_process("reply")

    sealed = signature().seal(b".there" + BODY, short)

    with pytest.raises(SignatureError):
        signature().open(sealed[6:], long)


def test_keys_rotate_without_a_pause() -> None:
    old, new = "the old key of all", "the new key of all"
    steps = [signature(keys) for keys in (old, [old, new], [new, old], new)]

    for one, next_one in itertools.pairwise(steps):
        assert next_one.open(one.seal(BODY, ABOUT), ABOUT) == BODY
        assert one.open(next_one.seal(BODY, ABOUT), ABOUT) == BODY
    with pytest.raises(SignatureError, match="not known"):
        steps[0].open(steps[-1].seal(BODY, ABOUT), ABOUT)


def test_age_is_that_of_the_signature() -> None:
    now = [5000.0]
    seal = signature(clock=lambda: now[0])
    sealed = seal.seal(BODY, ABOUT)

    assert seal.age(sealed) == 0
    now[0] += WINDOW
    assert seal.age(sealed) == pytest.approx(WINDOW)
    now[0] -= 2 * WINDOW
    assert seal.age(sealed) == pytest.approx(-WINDOW)


def test_time_in_a_signature_cannot_be_changed() -> None:
    old = signature(clock=lambda: 0.0).seal(BODY, ABOUT)
    new = signature().seal(BODY, ABOUT)
    at = slice(len(BODY) + 4, len(BODY) + 12)
    mixed = bytearray(old)
    mixed[at] = new[at]

    with pytest.raises(SignatureError):
        signature().open(bytes(mixed), ABOUT)


def test_reasons_tell_what_to_do() -> None:
    plain, signed = Checksum("default").seal(BODY, ABOUT), signature().seal(BODY, ABOUT)

    with pytest.raises(SignatureError, match=r"not signed.*ATASKS_NG_KEY"):
        signature().open(plain, ABOUT)
    with pytest.raises(SignatureError, match=r"no key.*ATASKS_NG_KEY"):
        Checksum("default").open(signed, ABOUT)
    with pytest.raises(BadMessageError, match="damaged"):
        signature().open(plain[1:], ABOUT)
    with pytest.raises(BadMessageError, match="damaged"):
        Checksum("default").open(b"", ABOUT)


def test_errors_hold_neither_bodies_nor_keys() -> None:
    texts = []
    for seal, sealed in (
        (signature(), signature(OTHER_KEY).seal(b"canary", ABOUT)),
        (signature(), Checksum("default").seal(b"canary", ABOUT)),
        (Checksum("default"), b"canary of a stranger"),
    ):
        with pytest.raises(ProtocolError) as caught:
            seal.open(sealed, ABOUT)
        texts.append(f"{caught.value} {caught.value.args!r} {seal!r}")

    assert not any(word in text for text in texts for word in ("canary", KEY, OTHER_KEY))


def test_opening_100_kib_of_a_stranger_takes_milliseconds() -> None:
    seal = signature()
    sealed = seal.seal(os.urandom(100 * 1024), ABOUT)
    wrong = sealed[:-2] + bytes([sealed[-2] ^ 1]) + sealed[-1:]

    def seconds(content: bytes) -> float:
        begin = time.thread_time()
        for _ in range(20):
            try:
                seal.open(content, ABOUT)
            except SignatureError:
                continue
        return time.thread_time() - begin

    # 5 ms for 100 KiB is what a hostile message may cost.
    assert min(seconds(wrong) for _ in range(3)) / 20 < 0.005
