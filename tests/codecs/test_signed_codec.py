"""Codecs that sign, and those that must: where a key is asked for, and how the seal is found."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from atasks_ng import atask, connect, serve
from atasks_ng.codecs import (
    CloudpickleCodec,
    Codec,
    CompressedCodec,
    KeyRing,
    MsgpackCodec,
    PickleCodec,
    SignedCodec,
    get_codec,
)
from atasks_ng.protocol.seals import Checksum, Seal, Signature, about_process
from atasks_ng.router import get_router
from atasks_ng.transport.base import Message, Transport
from atasks_ng.transport.sealing import Sealing
from atasks_ng.words.errors import BadMessageError, OptionError, SignatureError, UnsupportedError

KEY, OTHER_KEY = "the key of these tests", "another key of these tests"
ABOUT = about_process("reply.there")
# Nobody listens there; it must not come to that.
NOWHERE = "amqp://guest:guest@127.0.0.1:9/"


class Own(Transport):
    """Leaves the process, as far as anybody knows."""

    async def connect(self) -> None:
        """There is nothing to connect to."""

    async def disconnect(self) -> None:
        """There is nothing to disconnect from."""

    async def send_request(self, name: str, content: bytes) -> bytes:
        assert self.callback is not None
        return await self.callback(name, content)


class Careless(Own):
    """Has its own way to post, and knows nothing of seals."""

    def post(self, message: Message) -> None:
        raise AssertionError("it must not come to that")


@atask
async def double(x: int) -> int:
    return 2 * x


@pytest.fixture(autouse=True)
def no_key_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATASKS_NG_KEY", raising=False)


def seal_of(codec: Codec) -> Seal:
    return codec.seal("default", codec.name)


# -- SignedCodec -------------------------------------------------------------------------------


def test_signed_codec_takes_the_place_of_its_inner_one() -> None:
    inner = MsgpackCodec("signed")
    codec = SignedCodec(inner, KEY)

    assert get_codec("signed") is codec
    assert codec.inner is inner
    assert codec.name == "SignedCodec(MsgpackCodec)"
    assert codec.decode(codec.encode({1: (2,)})) == {1: (2,)}


def test_signed_codec_can_be_put_elsewhere() -> None:
    codec = SignedCodec(MsgpackCodec("inside"), KEY, "outside")

    assert get_codec("outside") is codec


@pytest.mark.parametrize("wrong", [None, MsgpackCodec, "MsgpackCodec"])
def test_signed_codec_wants_a_codec(wrong: Any) -> None:
    with pytest.raises(OptionError, match="wants a codec"):
        SignedCodec(wrong, KEY)


@pytest.mark.parametrize("key", [None, "too short", []])
def test_signed_codec_wants_a_key_and_leaves_the_namespace_alone_without(key: Any) -> None:
    inner = MsgpackCodec("signed")

    with pytest.raises(OptionError, match="token_urlsafe"):
        SignedCodec(inner, key)

    assert get_codec("signed") is inner


def test_key_is_found_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATASKS_NG_KEY", KEY)
    found = [SignedCodec(MsgpackCodec()), PickleCodec(), CloudpickleCodec()]
    given = [SignedCodec(MsgpackCodec(), KEY), PickleCodec(key=KEY), CloudpickleCodec(key=KEY)]

    for one, other in zip(found, given, strict=True):
        assert seal_of(one).open(seal_of(other).seal(b"body", ABOUT), ABOUT) == b"body"


def test_keys_that_sign_are_derived() -> None:
    codec = SignedCodec(MsgpackCodec(), KEY)
    plain = Signature(KeyRing(KEY), "default", codec.name, lambda: 0.0)

    with pytest.raises(SignatureError):
        seal_of(codec).open(plain.seal(b"body", ABOUT), ABOUT)


@pytest.mark.parametrize(
    "make",
    [
        lambda: CompressedCodec(SignedCodec(MsgpackCodec(), KEY)),
        lambda: SignedCodec(CompressedCodec(MsgpackCodec()), KEY),
        lambda: CompressedCodec(PickleCodec(key=KEY)),
        lambda: SignedCodec(PickleCodec(), KEY),
        lambda: SignedCodec(CompressedCodec(PickleCodec(key=OTHER_KEY)), KEY),
    ],
)
def test_signature_is_found_through_wrappers_and_is_that_of_the_outermost(make: Any) -> None:
    codec = make()
    expected = SignedCodec(MsgpackCodec(), KEY).seal("default", codec.name)

    sealed = seal_of(codec).seal(b"body", ABOUT)

    assert seal_of(codec).signs
    assert expected.open(sealed, ABOUT) == b"body"
    assert codec.decode(codec.encode([1])) == [1]


def test_codecs_that_say_nothing_get_a_checksum() -> None:
    class Mine(Codec):
        inner = "not a codec"

    for codec in (MsgpackCodec(), CompressedCodec(MsgpackCodec()), Mine()):
        assert type(seal_of(codec)) is Checksum


def test_keys_are_shown_by_no_codec() -> None:
    codecs = [SignedCodec(MsgpackCodec(), KEY), PickleCodec(key=KEY), CloudpickleCodec(key=KEY)]

    assert not any(KEY in repr(each) for codec in codecs for each in (codec, seal_of(codec)))


# -- pickles between processes -----------------------------------------------------------------

PICKLING = pytest.mark.parametrize(
    "make",
    [PickleCodec, CloudpickleCodec, lambda **options: CompressedCodec(PickleCodec(**options))],
    ids=["pickle", "cloudpickle", "compressed"],
)
WHAT_TO_DO = r"key=\.\.\..*ATASKS_NG_KEY.*unsafe_no_signature=True"


@PICKLING
async def test_pickles_without_a_key_work_on_loopback(make: Any) -> None:
    make()
    async with connect("loopback://"):
        assert await double(4) == 8


@PICKLING
async def test_pickles_without_a_key_connect_to_no_broker(make: Any) -> None:
    make()
    with pytest.raises(OptionError, match=WHAT_TO_DO):
        async with connect(NOWHERE):
            """It does not come to that."""
    with pytest.raises(OptionError, match=WHAT_TO_DO):
        async with serve(NOWHERE):
            """It does not come to that."""


@PICKLING
async def test_pickles_without_a_key_are_not_served_and_not_sent_elsewhere(make: Any) -> None:
    make()
    transport = Own()

    with pytest.raises(OptionError, match=WHAT_TO_DO):
        await get_router().activate(transport)
    with pytest.raises(OptionError, match=WHAT_TO_DO):
        await double(4)

    make(key=KEY)
    await get_router().activate(transport)
    assert await double(4) == 8
    await get_router().deactivate(0)


async def test_codec_that_comes_later_is_asked_for_its_key_too() -> None:
    MsgpackCodec()
    transport = Own()
    await get_router().activate(transport)
    assert await double(4) == 8

    PickleCodec()
    with pytest.raises(OptionError, match=WHAT_TO_DO):
        await asyncio.wait_for(double(4), 1)

    assert get_router().pending == 0
    PickleCodec(key=KEY)
    assert await double(5) == 10
    await get_router().deactivate(0)


def test_codec_that_lacks_its_key_opens_nothing_and_lets_what_is_under_way_end() -> None:
    codec = SignedCodec(MsgpackCodec(), KEY)
    sealing = Sealing("default")
    sealed = sealing.request(b"body", "here")

    PickleCodec()

    with pytest.raises(OptionError, match=WHAT_TO_DO):
        sealing.request(b"body", "here")
    with pytest.raises(BadMessageError, match=WHAT_TO_DO):
        sealing.open_request(sealed, "here")
    with pytest.raises(BadMessageError, match=WHAT_TO_DO):
        sealing.open_message(sealed, "here")
    answer = sealing.message(b"answer", "there")
    assert seal_of(codec).open(answer, about_process("there")) == b"answer"


@PICKLING
async def test_pickles_with_a_key_are_signed(make: Any) -> None:
    seen: list[bytes] = []

    class Watching(Own):
        async def send_request(self, name: str, content: bytes) -> bytes:
            answer = await super().send_request(name, content)
            seen.extend([content, answer])
            return answer

    codec = make(key=KEY)
    await get_router().activate(Watching())

    assert await double(4) == 8

    with pytest.raises(SignatureError):
        Checksum("default").open(seen[0], ABOUT)
    assert seal_of(codec).open(seen[1], about_process(""))
    await get_router().deactivate(0)


@PICKLING
async def test_pickles_that_need_no_signature_are_warned_of_at_each_start(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    make(unsafe_no_signature=True)
    for _ in range(2):
        await get_router().activate(Own())
        assert await double(4) == 8
        await get_router().deactivate(0)

    lines = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert len(lines) == 2
    assert all("without a key" in line and "'default'" in line for line in lines)


@pytest.mark.parametrize("make", [PickleCodec, CloudpickleCodec])
def test_a_key_that_need_not_be_used_is_an_error(make: Any) -> None:
    with pytest.raises(OptionError, match="contradict"):
        make(key=KEY, unsafe_no_signature=True)


@pytest.mark.parametrize("make", [PickleCodec, CloudpickleCodec])
def test_key_in_the_environment_is_used_though_none_is_needed(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATASKS_NG_KEY", KEY)

    assert seal_of(make(unsafe_no_signature=True)).signs


# -- transports of users -----------------------------------------------------------------------


async def test_short_transport_refuses_who_does_not_sign() -> None:
    class Stranger(Own):
        async def send_request(self, name: str, content: bytes) -> bytes:
            unsigned = Checksum("default").seal(content[:-29], b"q\x00\x00\x00\x00")
            return await super().send_request(name, unsigned)

    SignedCodec(MsgpackCodec(), KEY)
    await get_router().activate(Stranger())

    with pytest.raises(SignatureError, match="not signed"):
        await asyncio.wait_for(double(4), 1)

    await get_router().deactivate(0)


async def test_transport_that_does_not_seal_takes_no_codec_that_signs() -> None:
    SignedCodec(MsgpackCodec(), KEY)
    transport = Careless()

    with pytest.raises(UnsupportedError, match=r"self\.sealing"):
        await double(4)
    with pytest.raises(UnsupportedError, match=r"self\.sealing"):
        await get_router().activate(transport)
