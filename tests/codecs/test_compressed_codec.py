"""Large payloads become smaller; what unpacks to more than it says, or is taken, is refused."""

from __future__ import annotations

import asyncio
import os
import random
import struct
import tracemalloc
import zlib
from typing import Any

import pytest

from atasks_ng import atask, connect
from atasks_ng.codecs import Codec, CompressedCodec, JsonCodec, MsgpackCodec, get_codec
from atasks_ng.words.errors import DecodeError, EncodeError, IncompatibleError, OptionError

NAMESPACE = "test-compressed"


class AsyncCodec(Codec):
    async def encode(self, obj: Any) -> bytes:
        return str(obj).encode()

    async def decode(self, content: bytes) -> Any:
        return content.decode()


@pytest.fixture
def codec() -> CompressedCodec:
    return CompressedCodec(MsgpackCodec(NAMESPACE))


def forged(size: int, content: bytes) -> bytes:
    return b"\x01" + struct.pack(">Q", size) + content


@pytest.mark.parametrize(
    "value",
    [None, (1, "a"), "x" * 100_000, list(range(9000)), os.urandom(9000), ((), {"k": b"x" * 5000})],
    ids=["none", "tuple", "text", "numbers", "random", "call"],
)  # fmt: skip
def test_value_arrives_as_itself(codec, value):
    assert codec.decode(codec.encode(value)) == value


def test_large_message_becomes_smaller(codec):
    value = [{"name": f"row {number}", "number": number} for number in range(5000)]

    assert len(codec.encode(value)) < len(codec.inner.encode(value)) / 3


@pytest.mark.parametrize("value", ["x" * 4000, os.urandom(100_000)], ids=["small", "random"])
def test_message_that_gains_nothing_stays_as_it_is(codec, value):
    assert codec.encode(value) == b"\x00" + codec.inner.encode(value)


def test_threshold_and_level_are_obeyed(codec):
    text = " ".join(str(number**3) for number in range(20_000))
    fast, small = (CompressedCodec(codec.inner, level=level) for level in (1, 9))
    low = CompressedCodec(codec.inner, threshold=100)

    assert len(small.encode(text)) < len(fast.encode(text))
    assert len(low.encode("x" * 200)) < 100
    assert codec.decode(small.encode(text)) == text


def test_codec_takes_the_place_of_the_inner_one():
    codec = CompressedCodec(MsgpackCodec(NAMESPACE))

    assert get_codec(NAMESPACE) is codec
    assert (
        CompressedCodec(codec.inner, "test-compressed-other").namespace == "test-compressed-other"
    )
    assert get_codec(NAMESPACE) is codec


def test_name_tells_the_codec_inside():
    names = [CompressedCodec(cls(NAMESPACE)).name for cls in (MsgpackCodec, JsonCodec)]

    assert names == ["CompressedCodec(MsgpackCodec)", "CompressedCodec(JsonCodec)"]


async def test_async_codec_may_be_inside():
    codec: Any = CompressedCodec(AsyncCodec(NAMESPACE))

    content = await codec.encode("x" * 50_000)

    assert len(content) < 1000
    assert await codec.decode(content) == "x" * 50_000


@pytest.mark.parametrize(
    "options",
    [{"level": 0}, {"level": 10}, {"threshold": -1}, {"threshold": 1.5}, {"max_bytes": 0}],
    ids=str,
)
def test_option_out_of_range_is_refused(options):
    with pytest.raises(OptionError, match="give a whole number"):
        CompressedCodec(MsgpackCodec(NAMESPACE), **options)


def test_what_is_no_codec_is_refused():
    with pytest.raises(OptionError, match="wants a codec"):
        CompressedCodec(MsgpackCodec)  # type: ignore[arg-type]  # a class, as if by mistake


def test_value_that_is_too_large_is_refused_before_it_is_sent(codec):
    small = CompressedCodec(codec.inner, max_bytes=1000)

    with pytest.raises(EncodeError, match="raise max_bytes"):
        small.encode("x" * 1000)


# -- what others made up -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"\x01",
        b"\x02abc",
        b"\x01" + b"\0" * 8,
        forged(5, b"rubbish"),
        forged(0, zlib.compress(b"")),
        forged(3, zlib.compress(b"abcd")),
        forged(5, zlib.compress(b"abcd")),
        forged(2, zlib.compress(b"\x91\xc0") + b"more"),
        forged(2, zlib.compress(b"\x91\xc0")[:-1]),
    ],
    ids=range(11),
)
def test_rubbish_is_refused(codec, content):
    with pytest.raises(DecodeError):
        codec.decode(content)


def test_forged_message_that_is_right_is_decoded(codec):
    assert codec.decode(forged(2, zlib.compress(b"\x91\xc0"))) is None


@pytest.mark.parametrize("announced", [1, 1000, 64 * 1024 * 1024 + 1, 2**64 - 1])
def test_bomb_is_refused_in_little_memory(codec, announced):
    bomb = forged(announced, zlib.compress(bytes(100 * 1024 * 1024)))
    tracemalloc.start()

    with pytest.raises(DecodeError):
        codec.decode(bomb)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(bomb) < 110_000
    assert peak < 4 * len(bomb)


def test_changed_messages_are_refused_or_decoded(codec):
    dice = random.Random(1)
    original = codec.encode(list(range(3000)))

    for _ in range(2000):
        content = bytearray(original)
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        with pytest.raises(DecodeError):
            codec.decode(bytes(content))


# -- calls -------------------------------------------------------------------------------------


@atask(namespace=NAMESPACE)
async def echo(value: Any) -> Any:
    return value


async def test_call_travels_compressed(codec):
    async with connect("loopback://", namespace=NAMESPACE):
        assert await echo("x" * 100_000) == "x" * 100_000


async def test_end_with_another_codec_inside_says_so(codec):
    async with connect("loopback://", namespace=NAMESPACE):
        call = asyncio.ensure_future(echo(1))
        await asyncio.sleep(0)  # it is encoded and posted now
        CompressedCodec(JsonCodec(NAMESPACE))

        with pytest.raises(IncompatibleError) as caught:
            await call

    names = ("CompressedCodec(JsonCodec)", "CompressedCodec(MsgpackCodec)")
    assert caught.value.args == ("codec", *names)
