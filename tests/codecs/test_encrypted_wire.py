"""A broker that carries encrypted payloads sees nothing of them, whatever way they take."""

from __future__ import annotations

import contextvars
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from yarl import URL

from atasks_ng import atask, propagate, serve
from atasks_ng.codecs import Codec, CompressedCodec, EncryptedCodec, MsgpackCodec, SignedCodec
from atasks_ng.testing.proxy import Proxy
from atasks_ng.words.errors import RemoteError
from tests.contract.worlds import Broker, open_broker

NAMESPACE = "test-encrypted-wire"
KEY = "the-key-of-today-here"
CANARY = "canary-in-the-coal-mine"

baggage = contextvars.ContextVar[str]("test_encrypted_baggage")
propagate(baggage)


class CanaryError(Exception):
    pass


@atask(namespace=NAMESPACE)
async def returns(value: Any) -> Any:
    assert baggage.get() == f"{CANARY} out"
    baggage.set(f"{CANARY} back")
    return [value, CANARY.upper()]


@atask(namespace=NAMESPACE)
async def fails(value: str) -> None:
    error = CanaryError(value)
    error.attribute = CANARY.upper()  # type: ignore[attr-defined]
    error.add_note(value)
    raise error from ValueError(value)


@atask(namespace=NAMESPACE)
async def fails_at_length(value: str) -> None:
    raise CanaryError(value, os.urandom(5_000_000))  # too large, even compressed


@atask(namespace=NAMESPACE)
async def streams() -> AsyncIterator[str]:
    got = CANARY
    while True:
        got = yield got


async def exercise() -> None:
    """Send a canary by every way that a program has, and see it come back."""
    baggage.set(f"{CANARY} out")
    assert await returns({CANARY: CANARY}) == [{CANARY: CANARY}, CANARY.upper()]
    assert baggage.get() == f"{CANARY} back"
    with pytest.raises(CanaryError) as caught:
        await fails(CANARY)
    assert caught.value.args == (CANARY,)
    with pytest.raises(RemoteError, match=CANARY):
        await fails_at_length(CANARY)
    stream: Any = streams()
    assert await anext(stream) == CANARY
    assert await stream.asend(CANARY.upper()) == CANARY.upper()
    with pytest.raises(CanaryError):
        await stream.athrow(CanaryError(CANARY))


def encrypted(inner: Codec) -> Codec:
    return EncryptedCodec(inner, KEY)


@pytest.fixture
def broker(amqp_url: str) -> Iterator[Broker]:
    with open_broker(amqp_url) as broker:
        yield broker


@pytest.mark.parametrize(
    "codec",
    [
        lambda: encrypted(MsgpackCodec(NAMESPACE)),
        lambda: SignedCodec(encrypted(MsgpackCodec(NAMESPACE)), KEY),
        lambda: encrypted(SignedCodec(MsgpackCodec(NAMESPACE), KEY)),
        lambda: encrypted(CompressedCodec(MsgpackCodec(NAMESPACE))),
        lambda: MsgpackCodec(NAMESPACE),
    ],
    ids=["encrypted", "signed outside", "signed inside", "compressed inside", "plain"],
)
async def test_broker_sees_no_payload(broker: Broker, codec: Any) -> None:
    # The plain one shows that the canary would be seen.
    hidden = "EncryptedCodec" in codec().name
    url = URL(broker.url)
    seen = {True: bytearray(), False: bytearray()}
    with Proxy(url.host or "", url.port or 5672, lambda way, data: seen[way].extend(data)) as proxy:
        through = str(url.with_host("127.0.0.1").with_port(proxy.port))
        async with serve(through, namespace=NAMESPACE, prefix=broker.new_prefix(NAMESPACE)):
            await exercise()

    for data in seen.values():
        assert b"test_encrypted_wire:returns" in data
        assert (CANARY.encode() in data) is not hidden
        assert (CANARY.upper().encode() in data) is not hidden
