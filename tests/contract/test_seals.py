"""What strangers without the key write on the broker: it is not read, and true answers arrive."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import pickle
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiormq
import pytest

from atasks_ng import atask, connect, serve
from atasks_ng.codecs import (
    CloudpickleCodec,
    CompressedCodec,
    KeyRing,
    MsgpackCodec,
    PickleCodec,
    SignedCodec,
)
from atasks_ng.codecs.signed_codec import signature
from atasks_ng.protocol import envelopes
from atasks_ng.protocol.pieces import Body
from atasks_ng.protocol.seals import Checksum, Seal, about_process, about_request
from atasks_ng.router import get_router
from atasks_ng.transport.backends.amqp.settings import Names
from atasks_ng.words import errors, hooks
from atasks_ng.words.ids import new_id

from . import tasks
from .strangers import Stranger
from .worlds import KEY, Broker, start_worker, until

pytestmark = pytest.mark.amqp


class Unsealed(Seal):
    """None at all."""

    def seal(self, body: Body, about: bytes) -> Body:
        return body


#: Seals that a stranger may come up with, for messages with the codec of a name.
FORGED: dict[str, Callable[[str], Seal]] = {
    "unsealed": lambda codec: Unsealed(),
    "checksum": lambda codec: Checksum("default"),
    "wrong key": lambda codec: signature(KeyRing("a key of nobody here"), "default", codec),
    "other namespace": lambda codec: signature(KeyRing(KEY), "other", codec),
    "other codec": lambda codec: signature(KeyRing(KEY), "default", f"Compressed({codec})"),
}
forged = pytest.mark.parametrize("forge", FORGED)

KEYED: dict[str, Callable[[], Any]] = {
    "pickle": lambda: PickleCodec(key=KEY),
    "cloudpickle": lambda: CloudpickleCodec(key=KEY),
    "signed": lambda: SignedCodec(MsgpackCodec(), KEY),
    "compressed": lambda: CompressedCodec(PickleCodec(key=KEY)),
    "allowing": lambda: PickleCodec(key=KEY, allow=["io.open", "_io.open"]),
}


class Canary:
    """What unpickles it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.file), "w")


@atask
async def make_canary(file: str) -> Canary:
    return Canary(Path(file))


@contextlib.asynccontextmanager
async def served(broker: Broker) -> AsyncIterator[Stranger]:
    """Serve the tasks here, with the codec that is installed, and let a stranger in."""
    prefix = broker.new_prefix()
    records: list[object] = []
    stop = hooks.listen(records.append)
    async with serve(broker.url, prefix=prefix, grace=1):
        connection = await aiormq.connect(broker.url)
        try:
            channel = await connection.channel()
            yield Stranger(channel, Names(f"{prefix}.default"), records)
        finally:
            await connection.close()
            stop()


def request_of(codec: str, content: bytes, task: str = "add", **fields: Any) -> envelopes.Request:
    id = new_id()
    made = envelopes.Request(
        id, f"tests.contract.tasks:{task}", codec, None, 0, None, id, 0, 1, 1, None, content
    )
    return made._replace(**fields)


def dropped(stranger: Stranger) -> list[str]:
    """Return why messages were dropped."""
    return [each.reason for each in stranger.records if type(each) is hooks.MessageDropped]


def sings(codec: str, canary: Canary) -> bytes:
    """Return a payload that makes the file if it is unpickled, also by way of other codecs."""
    content = pickle.dumps([(canary,), {}])
    if codec == "cloudpickle":
        return bytes(sys.version_info[:2]) + content
    return b"\x00" + content if codec == "compressed" else content


# -- pickles that a stranger sends: not one byte is unpickled ----------------------------------


def test_canary_sings_when_it_is_unpickled(tmp_path: Path) -> None:
    canary = Canary(tmp_path / "sung")
    MsgpackCodec()
    for name in ("pickle", "cloudpickle", "compressed", "allowing"):
        [[opened], _] = KEYED[name]().decode(sings(name, canary))

        opened.close()
        assert canary.file.exists()
        canary.file.unlink()


@forged
@pytest.mark.parametrize("kind", KEYED)
async def test_forged_request_ends_in_the_dead_queue_unread(
    broker: Broker, tmp_path: Path, kind: str, forge: str
) -> None:
    codec = KEYED[kind]()
    canary = Canary(tmp_path / "sung")
    seal = FORGED[forge](codec.name)
    async with served(broker) as stranger:
        inbox = await stranger.inbox()
        request = request_of(codec.name, sings(kind, canary))
        sealed = seal.seal(envelopes.encode(request), about_request(inbox))
        await stranger.publish(stranger.names.requests, "default", sealed, request.id, inbox)

        dead = await stranger.get(stranger.names.dead)
        answer = await stranger.answer(inbox)

        assert dead.body == sealed
        assert dead.header.properties.headers["reason"]
        assert isinstance(answer, envelopes.Refusal)
        assert answer.id == request.id
        expected = "BadMessageError" if forge == "unsealed" else "SignatureError"
        assert answer.error == expected
        assert len(dropped(stranger)) == 1
        assert await tasks.add(1) == 2
    assert not canary.file.exists()


@forged
@pytest.mark.parametrize("kind", KEYED)
async def test_forged_answers_are_dropped_and_the_true_one_arrives(
    broker: Broker, tmp_path: Path, key: str, kind: str, forge: str
) -> None:
    codec = KEYED[kind]()
    canary = Canary(tmp_path / "sung")
    content = sings(kind, canary)
    seal = FORGED[forge](codec.name)
    async with served(broker) as stranger:
        call = asyncio.ensure_future(tasks.wait_at_gate(key, "true"))
        await until(lambda: "true started" in tasks.journal[key])
        [id] = stranger.ids
        lies: list[envelopes.Envelope] = [
            envelopes.Value(id, 0, None, content),
            envelopes.Failure(id, 0, None, content),
            envelopes.Refusal(id, "UnknownTaskError", ["x", "default", "worker"]),
            envelopes.Cancelled(id, None),
            envelopes.Cancel(id, "cancel", None),
            envelopes.Notice(id, "handed back", "worker"),
        ]
        for lie in lies:
            sealed = seal.seal(envelopes.encode(lie), about_process(stranger.address))
            await stranger.publish(stranger.names.replies, stranger.address, sealed, id)

        await until(lambda: len(dropped(stranger)) >= len(lies))
        tasks.gates[key].set()

        assert await asyncio.wait_for(call, 10) == "true"
    assert not canary.file.exists()


@pytest.mark.parametrize("forge", ["unsealed", "wrong key", "other namespace"])
async def test_default_codec_takes_no_message_that_does_not_fit(
    broker: Broker, tmp_path: Path, key: str, forge: str
) -> None:
    MsgpackCodec()
    canary = Canary(tmp_path / "sung")
    content = sings("pickle", canary)
    seal = FORGED[forge]("MsgpackCodec")
    async with served(broker) as stranger:
        call = asyncio.ensure_future(tasks.wait_at_gate(key, "true"))
        await until(lambda: "true started" in tasks.journal[key])
        [id] = stranger.ids
        lie = envelopes.encode(envelopes.Value(id, 0, None, content))
        sealed = seal.seal(lie, about_process(stranger.address))
        await stranger.publish(stranger.names.replies, stranger.address, sealed, id)
        request = envelopes.encode(request_of("MsgpackCodec", content))
        sealed = seal.seal(request, about_request(""))
        await stranger.publish(stranger.names.requests, "default", sealed, id)

        assert (await stranger.get(stranger.names.dead)).body == sealed
        await until(lambda: len(dropped(stranger)) >= 2)
        tasks.gates[key].set()

        assert await asyncio.wait_for(call, 10) == "true"
    assert not canary.file.exists()


async def test_answer_to_one_process_is_none_to_another(broker: Broker, key: str) -> None:
    codec = SignedCodec(MsgpackCodec(), KEY)
    mine = codec.seal("default", codec.name)
    async with served(broker) as stranger:
        call = asyncio.ensure_future(tasks.wait_at_gate(key, "true"))
        await until(lambda: "true started" in tasks.journal[key])
        [id] = stranger.ids
        answer = envelopes.encode(envelopes.Value(id, 0, None, codec.encode("of another")))
        for about in (about_process("reply.another"), about_request(stranger.address)):
            sealed = mine.seal(answer, about)
            await stranger.publish(stranger.names.replies, stranger.address, sealed, id)

        await until(lambda: len(dropped(stranger)) >= 2)
        tasks.gates[key].set()

        assert await asyncio.wait_for(call, 10) == "true"


async def test_flood_of_forgeries_is_counted_and_logged_a_few_times(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    SignedCodec(MsgpackCodec(), KEY)
    lie = envelopes.encode(envelopes.Value("canary of the stranger", 0, None, b"canary"))
    sealed = Checksum("default").seal(lie, b"")
    async with served(broker) as stranger:
        request = request_of("MsgpackCodec", b"canary")
        unsigned = Checksum("default").seal(envelopes.encode(request), about_request(""))
        for _ in range(50):
            await stranger.publish(stranger.names.replies, stranger.address, sealed, "id")
            await stranger.publish(stranger.names.requests, "default", unsigned)

        await until(lambda: len(dropped(stranger)) >= 100)

    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    ours = [line for line in lines if line.startswith(("dropped", "refused"))]
    assert len(ours) == 10  # of each kind five in ten seconds
    assert "canary" not in caplog.text


# -- pickles that are signed, and name what is not listed ----------------------------------------


@pytest.mark.parametrize("make", [PickleCodec, CloudpickleCodec])
async def test_signed_pickle_that_names_what_is_not_listed_is_refused(
    broker: Broker, tmp_path: Path, make: Any
) -> None:
    canary = Canary(tmp_path / "sung")
    make(key=KEY, allow=[tasks.__name__])
    async with served(broker) as stranger:
        with pytest.raises(errors.DecodeError) as caught:
            await tasks.echo(canary)
        sentence = str(caught.value)
        assert "the arguments of 'tests.contract.tasks:echo' cannot be decoded" in sentence
        assert f"{make.__name__}(allow=...) does not list it" in sentence
        assert dropped(stranger) == []
        assert await tasks.add(1) == 2

        with pytest.raises(errors.DecodeError, match=r"the result of .*does not list it"):
            await make_canary(str(canary.file))
    assert not canary.file.exists()


# -- one end has a key, the other none, or another ---------------------------------------------


@contextlib.asynccontextmanager
async def worker_with(broker: Broker, codec: str) -> AsyncIterator[dict[str, Any]]:
    """Start a worker process with a codec; how to connect to it."""
    prefix = broker.new_prefix()
    process = start_worker(broker.url, prefix, codec, 10)
    try:
        yield {"url": broker.url, "prefix": prefix}
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


@pytest.mark.parametrize("codec", ["signed", "pickle"])
async def test_caller_without_a_key_hears_at_once_what_to_do(broker: Broker, codec: str) -> None:
    MsgpackCodec()
    async with worker_with(broker, codec) as place, connect(**place):
        with pytest.raises(errors.SignatureError, match="ATASKS_NG_KEY"):
            await asyncio.wait_for(tasks.add(1), 5)


@pytest.mark.parametrize(
    ("codec", "key", "reason"),
    [("msgpack", KEY, "no key there"), ("signed", "a key that nobody has", "not known there")],
)
async def test_caller_whose_key_the_worker_lacks_hears_it_after_the_grace(
    broker: Broker, codec: str, key: str, reason: str
) -> None:
    SignedCodec(MsgpackCodec(), key)
    router = get_router()
    router.times = dataclasses.replace(router.times, worker_grace=0.5, overdue=0.2)
    async with worker_with(broker, codec) as place, connect(**place):
        with pytest.raises(errors.SignatureError, match=reason):
            await asyncio.wait_for(tasks.add(1), 10)


# -- keys that change --------------------------------------------------------------------------


async def test_keys_change_without_a_pause(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = "the old key of all processes", "the new key of all processes"
    prefix = broker.new_prefix()
    workers = []
    for keys in (f"{old},{new}", f"{new},{old}"):
        monkeypatch.setenv("ATASKS_NG_KEY", keys)
        workers.append(start_worker(broker.url, prefix, "environment", 10))
    try:
        performed = set()
        for keys in ([old, new], [new, old]):
            SignedCodec(MsgpackCodec(), keys)
            async with connect(broker.url, prefix=prefix):
                calls = [asyncio.wait_for(tasks.process_id(), 10) for _ in range(20)]
                performed.update(await asyncio.gather(*calls))
                assert [item async for item in tasks.count_up(5)] == list(range(5))
    finally:
        for process in workers:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.wait(20)
            process.stdout.close()
    assert performed == {process.pid for process in workers}
