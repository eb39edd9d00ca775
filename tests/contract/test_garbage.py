"""Whatever a stranger publishes on the broker: no call hangs for it, and the worker goes on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import typing
from collections.abc import AsyncIterator

import aiormq
import msgpack
import pytest

from atasks_ng import serve
from atasks_ng.protocol import envelopes
from atasks_ng.protocol.seals import ABOUT_WORKERS, about_process, about_request
from atasks_ng.transport.backends.amqp.settings import Names
from atasks_ng.words import errors, hooks

from . import tasks
from .strangers import Stranger, checksum
from .worlds import Broker, until

pytestmark = pytest.mark.amqp

GARBAGE = [
    b"",
    b"\xc1",
    b"hello",
    b"\x91" * 5000,
    b"\xdd\xff\xff\xff\xff",
    msgpack.packb({"id": 1}),
    msgpack.packb([envelopes.VERSION, 1, "i"]),
    msgpack.packb([envelopes.VERSION, 999, "i", "x"]),
    msgpack.packb([envelopes.VERSION + 1, 1, "i"]),
    envelopes.encode(envelopes.Value("no request", 0, None, b"")),
]


@pytest.fixture
async def stranger(broker: Broker) -> AsyncIterator[Stranger]:
    prefix = broker.new_prefix()
    records: list[object] = []
    stop = hooks.listen(records.append)
    async with serve(broker.url, prefix=prefix, grace=1):
        connection = await aiormq.connect(broker.url)
        channel = await connection.channel()
        yield Stranger(channel, Names(f"{prefix}.default"), records)
        await connection.close()
    stop()


@pytest.mark.parametrize("body", GARBAGE, ids=lambda body: repr(body[:12]))
async def test_garbage_among_requests_ends_in_the_dead_queue(
    stranger: Stranger, body: bytes
) -> None:
    await stranger.request(body)

    dead = await stranger.get(stranger.names.dead)

    assert dead.body == checksum.seal(body, about_request(""))
    headers = dead.header.properties.headers
    assert headers is not None
    assert headers["queue"] == "default"
    assert headers["reason"]
    assert await tasks.add(1) == 2


@pytest.mark.parametrize("body", GARBAGE, ids=lambda body: repr(body[:12]))
async def test_request_without_a_seal_ends_in_the_dead_queue_unread(
    stranger: Stranger, body: bytes
) -> None:
    await stranger.publish(stranger.names.requests, "default", body)

    dead = await stranger.get(stranger.names.dead)

    assert dead.body == body
    headers = dead.header.properties.headers
    assert headers is not None
    assert "checksum" in str(headers["reason"])
    assert await tasks.add(1) == 2


async def test_garbage_among_nested_requests_ends_in_the_dead_queue(stranger: Stranger) -> None:
    key = stranger.names.key("default", nested=True)

    await stranger.publish(stranger.names.requests, key, b"garbage")

    assert (await stranger.get(stranger.names.dead)).body == b"garbage"
    assert await tasks.relay("add", 1) == 2


async def test_garbage_that_can_be_answered_gets_an_error(stranger: Stranger) -> None:
    inbox = await stranger.inbox()

    await stranger.request(b"garbage", "the id", inbox)

    answer = await stranger.answer(inbox)
    assert type(answer) is envelopes.Refusal
    assert answer.id == "the id"
    assert answer.error == "BadMessageError"


async def test_other_version_is_answered_with_both_versions(stranger: Stranger) -> None:
    inbox = await stranger.inbox()

    await stranger.request(msgpack.packb([99, 1, "the id"]), "the id", inbox)

    answer = await stranger.answer(inbox)
    assert type(answer) is envelopes.Refusal
    assert answer.error == "IncompatibleError"
    # As its sender sees it.
    assert answer.args == ["version", envelopes.VERSION, 99]


async def test_reply_with_an_unknown_id_disturbs_nothing(stranger: Stranger, key: str) -> None:
    call = asyncio.ensure_future(tasks.wait_at_gate(key, "call"))
    await until(lambda: "call started" in tasks.journal[key])

    reply = envelopes.encode(envelopes.Value("unknown", 0, None, b"value"))
    await stranger.reply(reply, "unknown")

    await until(lambda: any(type(record) is hooks.MessageDropped for record in stranger.records))
    tasks.gates[key].set()
    assert await call == "call"


@pytest.mark.parametrize("body", GARBAGE[:-1], ids=lambda body: repr(body[:12]))
async def test_garbage_among_replies_disturbs_nothing(
    stranger: Stranger, key: str, body: bytes
) -> None:
    call = asyncio.ensure_future(tasks.wait_at_gate(key, "call"))
    await until(lambda: "call started" in tasks.journal[key])

    await stranger.publish(stranger.names.replies, stranger.address, body, "some id")
    await stranger.reply(body, "some id")

    tasks.gates[key].set()
    assert await call == "call"
    await until(lambda: _is_empty(stranger, stranger.address))


async def test_reply_of_a_wrong_type_to_a_real_call_is_an_error(
    stranger: Stranger, key: str
) -> None:
    call = asyncio.ensure_future(tasks.wait_at_gate(key, "call"))
    await until(lambda: "call started" in tasks.journal[key])
    [id] = stranger.ids

    forged = envelopes.encode(envelopes.Value(id, 0, None, b"no value of any codec"))
    await stranger.reply(forged, id)

    with pytest.raises(errors.DecodeError):
        await call
    tasks.gates[key].set()


async def test_hostile_envelopes_of_every_kind_disturb_nothing(
    stranger: Stranger, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(7)
    stream = tasks.count_up(1000)
    await anext(stream)
    call = asyncio.ensure_future(tasks.wait_at_gate(key, "call"))
    await until(lambda: "call started" in tasks.journal[key])
    ids = ["unknown", *stranger.ids]
    places = [
        (stranger.names.requests, "default", about_request(stranger.address)),
        (stranger.names.control, "default", ABOUT_WORKERS),
        (stranger.names.replies, stranger.address, about_process(stranger.address)),
    ]

    for _ in range(600):
        exchange, to, about = chance.choice(places)
        body = checksum.seal(_hostile(chance, ids, stranger.address), about)
        await stranger.publish(exchange, to, body, chance.choice(ids), stranger.address)

    await until(lambda: _is_empty(stranger, stranger.names.work("default")))
    await until(lambda: _is_empty(stranger, stranger.address))
    tasks.gates[key].set()
    # What a stranger says about a call may end it; it must end in any case.
    async with asyncio.timeout(5):
        await asyncio.gather(call, return_exceptions=True)
        with contextlib.suppress(Exception):
            await stream.aclose()
        assert await tasks.add(1) == 2
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


KINDS = typing.get_args(envelopes.Envelope)

#: Values of the right type for a field, some of them out of place.
FIELDS: dict[str, list[object]] = {
    "int": [0, 1, -1, 2, 2**63],
    "int | None": [None, 0, 1, -1, 2**63],
    "bytes": [b"", b"garbage", b"\x91\x01", msgpack.packb([[], {}])],
    "list[Any]": [[], [1], ["m:f", "default", "w"], [None, [1]]],
    "Baggage | None": [None, {}, {"a": b"x"}, {1: 2}],
}
#: Values that mean something in one field or another.
TEXTS = ["", "x", "next", "send", "throw", "close", "again", "alive", "cancelling", "handed back"]
TEXTS += ["cancel", "deadline", "go", "settled", "condemned", "stand by", "lost", "twice", "last"]
TEXTS += ["MsgpackCodec", "tests.contract.tasks:add", "SystemExit", "UnknownTaskError"]


def _hostile(chance: random.Random, ids: list[str], address: str) -> bytes:
    """Return an envelope of some kind that nobody would have sent, sometimes damaged."""
    kind = chance.choice(KINDS)
    values = []
    for name, annotation in kind.__annotations__.items():
        texts = [*ids, address] if name in ("id", "origin") else [*TEXTS, *ids]
        values.append(chance.choice(FIELDS.get(annotation.__forward_arg__, texts)))
    body = bytearray(envelopes.encode(kind(*values)))
    if chance.random() < 0.2:
        body[chance.randrange(len(body))] = chance.randrange(256)
    return bytes(body)


async def _is_empty(stranger: Stranger, queue: str) -> bool:
    return await stranger.count(queue) == 0
