"""What is encrypted arrives as it was, to who has the key, and to nobody else."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atasks_ng import atask, connect
from atasks_ng.codecs import (
    CloudpickleCodec,
    Codec,
    CompressedCodec,
    EncryptedCodec,
    JsonCodec,
    MsgpackCodec,
    PickleCodec,
    SignedCodec,
    get_codec,
)
from atasks_ng.codecs.encrypted_codec import OVERHEAD_BYTES
from atasks_ng.codecs.keys import KeyRing
from atasks_ng.words.errors import DecodeError, EncodeError, IncompatibleError, OptionError
from tests.codecs.test_contract import VALUES

NAMESPACE = "test-encrypted"
OLD, KEY = "the-key-of-yesterday", "the-key-of-today-here"


class AsyncCodec(Codec):
    async def encode(self, obj: Any) -> bytes:
        await asyncio.sleep(0)
        return str(obj).encode()

    async def decode(self, content: bytes) -> Any:
        await asyncio.sleep(0)
        return content.decode()


@pytest.fixture(autouse=True)
def no_key_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATASKS_NG_KEY", raising=False)


def make(key: Any = KEY, namespace: str = NAMESPACE, inner: Any = MsgpackCodec) -> EncryptedCodec:
    return EncryptedCodec(inner(namespace), key)


def undecodable(codec: Codec, content: Any) -> str:
    with pytest.raises(DecodeError) as caught:
        codec.decode(content)
    assert caught.value.__cause__ is None
    return str(caught.value)


# -- round trips -----------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", [MsgpackCodec, PickleCodec, CloudpickleCodec, JsonCodec])
@pytest.mark.parametrize("value", VALUES, ids=ascii)
def test_value_arrives_as_itself(inner: Any, value: Any) -> None:
    codec: Any = make(inner=inner)

    content = codec.encode(value)

    assert type(content) is bytes
    assert repr(make(inner=inner).decode(content)) == repr(value)
    assert len(content) == len(codec.inner.encode(value)) + OVERHEAD_BYTES


@given(value=st.recursive(st.none() | st.integers() | st.text() | st.binary(), st.lists))
def test_any_value_arrives_as_itself(value: Any) -> None:
    codec: Any = make()

    assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_content_may_be_any_kind_of_bytes(kind: Any) -> None:
    codec: Any = make()

    assert codec.decode(kind(codec.encode("x" * 5000))) == "x" * 5000


async def test_async_codec_may_be_inside() -> None:
    codec: Any = make(inner=AsyncCodec)

    content = await codec.encode("text")

    assert b"text" not in content
    assert await codec.decode(content) == "text"


def test_error_of_the_inner_codec_comes_through() -> None:
    with pytest.raises(EncodeError, match=r"args\[0\]"):
        make().encode(((asyncio,), {}))


@pytest.mark.parametrize("outside", ["encrypted", "compressed"])
def test_compression_nests_either_way(outside: str) -> None:
    def wrapped() -> Any:
        if outside == "encrypted":
            return EncryptedCodec(CompressedCodec(MsgpackCodec(NAMESPACE)), KEY)
        return CompressedCodec(make())

    content = wrapped().encode("text" * 25_000)

    assert wrapped().decode(content) == "text" * 25_000
    # What is encrypted looks like noise, and noise cannot be compressed.
    assert (len(content) < 2000) is (outside == "encrypted")
    names = ("EncryptedCodec(CompressedCodec(MsgpackCodec))",) * (outside == "encrypted")
    assert wrapped().name in (*names, "CompressedCodec(EncryptedCodec(MsgpackCodec))")


def test_nothing_of_a_value_is_seen_and_no_message_is_like_another() -> None:
    codec: Any = make()

    contents = [codec.encode("a canary") for _ in range(100)]

    assert not any(b"canary" in content for content in contents)
    # All but the identity of the key.
    assert len({content[4:16] for content in contents}) == len(contents)
    assert len({content[16:] for content in contents}) == len(contents)
    assert {content[:4] for content in contents} == {codec._ring.current.id}


# -- what is refused -----------------------------------------------------------------------------


def test_every_flipped_bit_is_refused() -> None:
    codec: Any = make()
    content = codec.encode({"some": "value"})

    for index in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[index] ^= 1 << bit
            undecodable(codec, bytes(changed))


def test_every_cut_and_every_addition_is_refused() -> None:
    codec: Any = make()
    content = codec.encode("value")

    for length in range(len(content)):
        undecodable(codec, content[:length])
        undecodable(codec, content[length + 1 :])
    undecodable(codec, content + b"\0")


@given(content=st.binary(max_size=100))
def test_rubbish_is_refused(content: bytes) -> None:
    undecodable(make(), content)


@given(content=st.binary(max_size=100))
def test_rubbish_that_names_the_key_is_refused(content: bytes) -> None:
    codec = make()

    undecodable(codec, codec._ring.current.id + content)


@pytest.mark.parametrize(
    "other",
    [
        lambda: make(OLD),
        lambda: make(namespace="test-encrypted-other"),
        lambda: make(inner=JsonCodec),
        lambda: EncryptedCodec(CompressedCodec(MsgpackCodec(NAMESPACE)), KEY),
    ],
    ids=["key", "namespace", "codec", "compression"],
)
def test_what_was_encrypted_for_others_is_refused(other: Any) -> None:
    undecodable(make(), other().encode(["value"]))


def test_all_refusals_say_the_same_and_nothing_secret() -> None:
    codec: Any = make()
    content = codec.encode("canary")
    changed = content[:-1] + bytes([content[-1] ^ 1])

    said = {undecodable(codec, each) for each in (b"", content[:20], changed, make(OLD).encode(1))}

    assert len(said) == 1
    text = said.pop() + repr(codec)
    assert KEY not in text
    assert "canary" not in text
    assert codec._ring.current.id.hex() not in text


def test_key_of_signatures_does_not_encrypt() -> None:
    ring = KeyRing(KEY)

    assert make()._ring.current.secret not in (
        ring.current.secret,
        ring.derive("signing").current.secret,
        ring.derive("signature").current.secret,
    )
    assert len(make()._ring.current.secret) == 32


# -- keys ----------------------------------------------------------------------------------------


def test_keys_are_changed_without_a_pause() -> None:
    stages: list[Any] = [make(key) for key in ([OLD], [OLD, KEY], [KEY, OLD], [KEY])]

    for before, after in itertools.pairwise(stages):
        for sender, receiver in [(before, after), (after, before)]:
            assert receiver.decode(sender.encode("value")) == "value"
    undecodable(stages[-1], stages[0].encode("value"))


def test_first_key_is_the_one_that_encrypts() -> None:
    both: Any = make([KEY, OLD])
    content = both.encode(1)

    assert make(KEY).decode(content) == 1
    undecodable(make(OLD), content)


def test_keys_of_a_callable_change_while_it_runs() -> None:
    keys, now = [OLD], [100.0]
    codec: Any = EncryptedCodec(
        MsgpackCodec(NAMESPACE), KeyRing(lambda: keys, clock=lambda: now[0])
    )
    before = codec.encode("value")

    keys[:] = [KEY]
    now[0] += 61
    after = codec.encode("value")

    assert make(KEY).decode(after) == "value"
    assert codec.decode(after) == "value"
    undecodable(codec, before)


def test_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATASKS_NG_KEY", f"{KEY},{OLD}")

    codec: Any = EncryptedCodec(MsgpackCodec(NAMESPACE))

    assert make(KEY).decode(codec.encode(1)) == 1
    assert codec.decode(make(OLD).encode(1)) == 1


def test_without_a_key_it_says_how_to_make_one() -> None:
    with pytest.raises(OptionError, match="token_urlsafe"):
        EncryptedCodec(MsgpackCodec(NAMESPACE))
    with pytest.raises(OptionError, match="token_urlsafe"):
        make("too short")


# -- as a codec ------------------------------------------------------------------------------------


def test_codec_takes_the_place_of_the_inner_one() -> None:
    codec = make()

    assert get_codec(NAMESPACE) is codec
    assert codec.name == "EncryptedCodec(MsgpackCodec)"
    other = EncryptedCodec(codec.inner, KEY, "test-encrypted-other")
    assert get_codec("test-encrypted-other") is other
    assert get_codec(NAMESPACE) is codec


@pytest.mark.parametrize("inner", [MsgpackCodec, None, KEY])
def test_what_is_no_codec_is_refused_and_not_shown(inner: Any) -> None:
    with pytest.raises(OptionError, match="wants a codec") as caught:
        EncryptedCodec(inner, KEY)

    assert KEY not in str(caught.value)


def test_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = MsgpackCodec(NAMESPACE)
    for name in ("cryptography", "cryptography.hazmat.primitives.ciphers.aead"):
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(OptionError, match=r"cryptography: pip install 'atasks_ng\[crypto\]'"):
        EncryptedCodec(inner, KEY)

    assert get_codec(NAMESPACE) is inner


def test_package_is_imported_when_a_codec_is_made() -> None:
    program = (
        "import sys\n"
        "from atasks_ng.codecs import EncryptedCodec, MsgpackCodec\n"
        "before = 'cryptography' in sys.modules\n"
        f"EncryptedCodec(MsgpackCodec(), {KEY!r})\n"
        "print(before, 'cryptography' in sys.modules)"
    )

    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("False True\n", "")


def test_encryption_is_no_signature() -> None:
    with pytest.raises(OptionError, match="unsafe_no_signature"):
        make(inner=PickleCodec).seal(NAMESPACE, "name")
    assert not make().seal(NAMESPACE, "name").signs
    assert EncryptedCodec(SignedCodec(MsgpackCodec(NAMESPACE), KEY), KEY).seal("n", "name").signs


# -- calls -----------------------------------------------------------------------------------------


@atask(namespace=NAMESPACE)
async def echo(value: Any) -> Any:
    return value


async def test_call_travels_encrypted() -> None:
    make()
    async with connect("loopback://", namespace=NAMESPACE):
        assert await echo((1, {"a": b"x"})) == (1, {"a": b"x"})


async def test_end_without_encryption_says_so() -> None:
    codec = make()
    async with connect("loopback://", namespace=NAMESPACE):
        call = asyncio.ensure_future(echo(1))
        await asyncio.sleep(0)  # it is encoded and posted now
        MsgpackCodec(NAMESPACE)

        with pytest.raises(IncompatibleError) as caught:
            await call

    assert caught.value.args == ("codec", "MsgpackCodec", codec.name)


async def test_end_with_another_key_is_an_error_at_the_caller() -> None:
    make()
    async with connect("loopback://", namespace=NAMESPACE):
        call = asyncio.ensure_future(echo(1))
        await asyncio.sleep(0)
        make(OLD)

        with pytest.raises(DecodeError) as caught:
            await call

    sentence = str(caught.value)
    assert sentence.startswith("worker ")
    assert "the arguments of" in sentence
    assert "cannot be decrypted: the key, the namespace or the codec differ" in sentence
