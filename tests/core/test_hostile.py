"""Envelopes that no peer of ours would send: nothing raises, awaits end, the worker goes on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, get_args

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st

from atasks_ng import atask, connect
from atasks_ng.protocol import envelopes
from atasks_ng.transport import get_transport
from atasks_ng.transport.base import Delivery
from atasks_ng.words import hooks

#: Values that mean something in one field or another.
TEXTS = ["", "x", "next", "send", "throw", "close", "again", "alive", "cancelling", "handed back"]
TEXTS += ["cancel", "deadline", "go", "settled", "condemned", "stand by", "lost", "twice", "last"]
TEXTS += ["MsgpackCodec", "tests.core.test_hostile:ok", "SystemExit", "UnknownTaskError", "Any"]
#: Stand for the calls that are under way, and for the address of this process.
CALL, STREAM, HERE = "<call>", "<stream>", "<here>"

text = st.sampled_from([*TEXTS, CALL, STREAM])
number = st.sampled_from([0, 1, -1, 2, 3, 2**63, -(2**63), 2**64 - 1])
encoded = st.sampled_from(
    [b"", b"garbage", b"\x91\x01", b"\xc1\x91\x01", *map(msgpack.packb, [[[], {}], [1], [{}]])]
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "str": text,
    "str | None": st.none() | text,
    "int": number,
    "int | None": st.none() | number,
    "bytes": encoded,
    "list[Any]": st.sampled_from([[], [1], ["m:f", "default", "w"], ["m:f", "x"], [None, [1]]]),
    "Baggage | None": st.sampled_from([None, {}, {"a": b"x"}, {"a": 1}, {1: 2}]),
}


def of_kind(kind: Any) -> st.SearchStrategy[Any]:
    fields = {name: FIELDS[each.__forward_arg__] for name, each in kind.__annotations__.items()}
    fields["id"] = st.sampled_from([CALL, STREAM, "unknown"])
    if "origin" in fields:
        fields["origin"] = st.sampled_from([HERE, "nowhere", ""])
    return st.builds(kind, **fields)


hostile = st.one_of(*map(of_kind, get_args(envelopes.Envelope)))


class Letter(Delivery):
    """A request from nowhere."""

    __slots__ = ("settled",)

    def __init__(self, body: bytes, **kwargs: Any) -> None:
        super().__init__(body, **kwargs)
        self.settled = 0

    def finish(self, answer: bytes | None, context: Any = None) -> None:
        self.settled += 1

    def say(self, envelope: bytes, context: Any = None) -> None:
        """Nobody is there to hear it."""

    def hand_back(self) -> None:
        self.settled += 1


@atask
async def ok() -> str:
    return "ok"


@atask
async def wait() -> None:
    await asyncio.sleep(0.02)


@atask
async def numbers() -> Any:
    for number in range(100):
        yield number


async def meet(said: list[tuple[Any, bool, bool]]) -> None:
    """Say all that while a call and a stream are under way."""
    sent: list[str] = []
    stop = hooks.listen(
        lambda record: sent.append(record.id) if type(record) is hooks.CallSent else None
    )
    loop = asyncio.get_running_loop()
    broken: list[Any] = []
    loop.set_exception_handler(lambda loop, what: broken.append(what))
    async with connect("loopback://"):
        transport = get_transport()
        assert transport is not None
        assert transport.receiver is not None
        call = asyncio.ensure_future(wait())
        stream = numbers()
        await anext(stream)
        stop()
        real = dict(zip([CALL, STREAM], sent, strict=True)) | {HERE: transport.address}
        letters = []
        for envelope, as_request, again in said:
            values = [real.get(each, each) if type(each) is str else each for each in envelope]
            body = envelopes.encode(type(envelope)(*values))
            if as_request:
                letters.append(Letter(body, id="letter", redelivered=again))
                transport.receiver.on_request(letters[-1])
            else:
                transport.receiver.on_envelope(body)
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await asyncio.gather(call, return_exceptions=True)
            with contextlib.suppress(Exception, asyncio.CancelledError):
                await anext(stream)
            with contextlib.suppress(Exception, asyncio.CancelledError):
                await stream.aclose()
            assert await ok() == "ok"
    assert broken == []
    assert all(letter.settled <= 1 for letter in letters)


@settings(max_examples=80)
@given(st.lists(st.tuples(hostile, st.booleans(), st.booleans()), max_size=8))
def test_hostile_envelopes_break_nothing(said: list[tuple[Any, bool, bool]]) -> None:
    logging.disable(logging.CRITICAL)
    try:
        asyncio.run(meet(said))
    finally:
        logging.disable(logging.NOTSET)
