"""Messages that are damaged, hostile, or not meant for whoever gets them."""

from __future__ import annotations

import asyncio
import gc
import pickle
import random
import time
from pathlib import Path
from typing import Any

import aiormq
import pytest

from atasks_ng import connect, serve
from atasks_ng.codecs import MsgpackCodec
from atasks_ng.protocol import envelopes
from atasks_ng.protocol.seals import Checksum, about_process, about_request
from atasks_ng.transport import get_transport
from atasks_ng.transport.backends.amqp.settings import Names
from atasks_ng.words import errors
from atasks_ng.words.ids import new_id
from tests.faults.places import HANGS_AFTER, Place, shown, until

# A stranger can make a checksum, too.
checksum = Checksum("default")


class Canary:
    """What opens it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.file), "w")


def request(codec: str, content: bytes, task: str = "faulty_tasks:echo") -> envelopes.Request:
    """Return a request as a stranger makes it."""
    id = new_id()
    return envelopes.Request(id, task, codec, None, 0, None, id, 0, 1, 1, None, content)


# -- pickles: F39 ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claimed", "answer"),
    [("PickleCodec", "IncompatibleError"), ("MsgpackCodec", "DecodeError")],
)
async def test_worker_with_the_default_codec_opens_no_pickle(
    place: Place, channel: aiormq.abc.AbstractChannel, claimed: str, answer: str
) -> None:
    names = Names(f"atasks_ng.{place.namespace}")
    canary = pickle.dumps([(Canary(place.folder / "sung"),), {}])
    async with serve(place.url, namespace=place.namespace):
        inbox = (await channel.queue_declare(exclusive=True)).queue
        assert inbox is not None
        await channel.queue_bind(inbox, names.replies, inbox)
        sent = request(claimed, canary)
        properties = aiormq.spec.Basic.Properties(correlation_id=sent.id, reply_to=inbox)
        await channel.basic_publish(
            checksum.seal(envelopes.encode(sent), about_request(inbox)),
            exchange=names.requests,
            routing_key="default",
            properties=properties,
        )

        said = checksum.open(await _next(channel, inbox), about_process(inbox))
        refusal = envelopes.decode(said)

    assert isinstance(refusal, envelopes.Refusal)
    assert refusal.error == answer
    assert not (place.folder / "sung").exists()


async def test_caller_with_the_default_codec_opens_no_pickle(
    place: Place, channel: aiormq.abc.AbstractChannel
) -> None:
    names = Names(f"atasks_ng.{place.namespace}")
    await place.workers.start().ready()
    async with connect(place.url, namespace=place.namespace):
        call = asyncio.ensure_future(place.tasks.work("c", place.gate))
        await place.ledger.reaches(1)
        id = place.ledger.entries()[0].id
        transport = get_transport(place.namespace)
        assert transport is not None
        assert transport.address is not None
        canary = pickle.dumps(Canary(place.folder / "sung"))
        forged = envelopes.encode(envelopes.Value(id, 0, None, canary))
        await channel.basic_publish(
            checksum.seal(forged, about_process(transport.address)),
            exchange=names.replies,
            routing_key=transport.address,
        )

        with pytest.raises(errors.DecodeError):
            await asyncio.wait_for(call, HANGS_AFTER)
        place.gate.touch()
    assert not (place.folder / "sung").exists()


async def _next(channel: aiormq.abc.AbstractChannel, queue: str) -> bytes:
    found: list[bytes] = []

    async def is_there() -> bool:
        message = await channel.basic_get(queue, no_ack=True)
        if isinstance(message.delivery, aiormq.spec.Basic.GetOk):
            found.append(message.body)
        return bool(found)

    await until(is_there)
    return found[0]


# -- damage: F36 -------------------------------------------------------------------------------

MUTATED = 100_000
_LIMIT = 0.005
_VALUES = {"name": "x" * 40, "numbers": list(range(50)), "nested": [{"k": (1, 2.5, None)}] * 5}


def test_100000_damaged_messages_end_within_milliseconds() -> None:
    codec = MsgpackCodec("faults-damaged")
    whole = envelopes.encode(request("MsgpackCodec", codec.encode(((_VALUES,), {}))))
    chance = random.Random(36)
    ends = {"refused": 0, "decoded": 0}
    longest = 0.0
    gc.collect()
    gc.disable()
    try:
        for _ in range(MUTATED):
            damaged = _damage(chance, whole)
            end, seconds = _timed(codec, damaged)
            if seconds > _LIMIT:
                # Once may be the machine's doing; three times are not.
                seconds = min(_timed(codec, damaged)[1] for _ in range(3))
            ends[end] += 1
            longest = max(longest, seconds)
    finally:
        gc.enable()

    shown("longest of 100,000 damaged messages", longest * 1000, "ms")
    shown("share that is refused", 100 * ends["refused"] / MUTATED, "%")
    assert sum(ends.values()) == MUTATED
    assert ends["refused"] > MUTATED / 10
    assert longest < _LIMIT


def _timed(codec: MsgpackCodec, body: bytes) -> tuple[str, float]:
    begin = time.thread_time()
    end = _end_of(codec, body)
    return end, time.thread_time() - begin


def _damage(chance: random.Random, whole: bytes) -> bytes:
    damaged = bytearray(whole)
    kind = chance.randrange(3)
    if kind == 0:
        del damaged[chance.randrange(len(damaged)) :]
    elif kind == 1:
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    else:
        start = chance.randrange(len(damaged))
        damaged[start : start + 4] = chance.randbytes(4)
    return bytes(damaged)


def _end_of(codec: MsgpackCodec, body: bytes) -> str:
    try:
        envelope = envelopes.decode(body)
        if isinstance(envelope, envelopes.Request):
            codec.decode(envelope.payload)
    except (errors.ProtocolError, errors.DecodeError):
        return "refused"
    return "decoded"


# -- too large: F37 ----------------------------------------------------------------------------

_TOO_LARGE = 4 * 1024 * 1024 + 1


async def test_what_is_too_large_is_refused_before_it_is_sent(place: Place) -> None:
    worker = await place.workers.start().ready()
    async with connect(place.url, namespace=place.namespace):
        with pytest.raises(errors.TooLargeError) as at_the_call:
            await place.tasks.work("argument", None, b"x" * _TOO_LARGE)
        with pytest.raises(errors.TooLargeError) as of_the_result:
            await place.tasks.swell("result", _TOO_LARGE)

        assert await place.tasks.echo("after") == "after"

    for caught in (at_the_call, of_the_result):
        assert caught.value.size_bytes >= _TOO_LARGE
        assert caught.value.limit_bytes == 4 * 1024 * 1024
    assert "Router(max_payload_bytes=...) in the caller" in str(at_the_call.value)
    assert "Router(max_payload_bytes=...) in the worker" in str(of_the_result.value)
    assert [entry.key for entry in place.ledger.entries()] == ["result"]
    assert "lost the link" not in worker.log()
