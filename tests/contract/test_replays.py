"""Messages that were true once and are sent again, and messages that are damaged on their way."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiormq
import pytest

from atasks_ng import atask, serve
from atasks_ng.codecs import Codec, KeyRing, MsgpackCodec, SignedCodec, get_codec
from atasks_ng.protocol import envelopes
from atasks_ng.protocol.seals import WINDOW, Seal, Signature, about_process, about_request
from atasks_ng.router import get_router
from atasks_ng.transport import get_transport
from atasks_ng.transport.backends.amqp import AMQPTransport
from atasks_ng.transport.backends.amqp.settings import Names
from atasks_ng.words import errors, hooks
from atasks_ng.words.ids import new_id

from . import tasks
from .strangers import Stranger
from .worlds import KEY, Broker, until

pytestmark = pytest.mark.amqp


@atask(ack="early")
async def count_once(key: str) -> int:
    """Must not run twice."""
    tasks.note(key, "run")
    return tasks.journal[key].count("run")


@atask
async def count(key: str) -> int:
    tasks.note(key, "run")
    return tasks.journal[key].count("run")


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class TimedCodec(SignedCodec):
    """Signs by a clock of the test."""

    name = "SignedCodec"

    def __init__(self, clock: Clock) -> None:
        super().__init__(MsgpackCodec(), KEY)
        self._clock = clock

    def seal(self, namespace: str, codec: str) -> Seal:
        return Signature(KeyRing(KEY).derive("signature"), namespace, codec, self._clock)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@dataclasses.dataclass
class Eavesdropper(Stranger):
    """Gets a copy of each request, and can send it again."""

    copies: str = ""

    async def replay(self, message: Any) -> None:
        await self.channel.basic_publish(
            message.body,
            exchange=self.names.requests,
            routing_key="default",
            properties=message.header.properties,
        )

    def forget(self) -> None:
        """Let the worker be another one, which has never heard of any call."""
        incoming = get_router()._incoming
        assert incoming is not None
        incoming._callee._answers.clear()


@pytest.fixture
async def eavesdropper(broker: Broker, clock: Clock) -> AsyncIterator[Eavesdropper]:
    TimedCodec(clock)
    prefix = broker.new_prefix()
    records: list[object] = []
    stop = hooks.listen(records.append)
    async with serve(broker.url, prefix=prefix, grace=1):
        connection = await aiormq.connect(broker.url)
        channel = await connection.channel()
        names = Names(f"{prefix}.default")
        declared = await channel.queue_declare(exclusive=True)
        assert declared.queue
        await channel.queue_bind(declared.queue, names.requests, "default")
        yield Eavesdropper(channel, names, records, declared.queue)
        await connection.close()
    stop()


async def is_settled(stranger: Stranger) -> None:
    """Return when the worker holds no request any more, and none waits."""

    async def nothing_left() -> bool:
        empty = await stranger.count(stranger.names.work("default")) == 0
        return empty and get_router().running == 0

    await until(nothing_left)
    # What comes after this call has been looked at after what was sent before it.
    assert await tasks.add(1) == 2
    await until(nothing_left)


async def test_captured_request_that_is_sent_again_soon_is_answered_again(
    eavesdropper: Eavesdropper, key: str
) -> None:
    assert await count(key) == 1
    captured = await eavesdropper.get(eavesdropper.copies)

    for _ in range(3):
        await eavesdropper.replay(captured)
    await is_settled(eavesdropper)

    assert tasks.journal[key] == ["run"]


@pytest.mark.parametrize("later", [WINDOW + 1, -WINDOW - 1, 10 * WINDOW])
async def test_captured_request_outside_of_the_window_runs_nowhere(
    eavesdropper: Eavesdropper, key: str, clock: Clock, later: float
) -> None:
    assert await count(key) == 1
    captured = await eavesdropper.get(eavesdropper.copies)
    eavesdropper.forget()

    clock.now += later
    await eavesdropper.replay(captured)
    await is_settled(eavesdropper)

    assert tasks.journal[key] == ["run"]


async def test_captured_request_of_a_task_that_must_not_run_twice_runs_nowhere(
    eavesdropper: Eavesdropper, key: str
) -> None:
    assert await count_once(key) == 1
    captured = await eavesdropper.get(eavesdropper.copies)
    eavesdropper.forget()

    await eavesdropper.replay(captured)
    await is_settled(eavesdropper)

    assert tasks.journal[key] == ["run"]


async def test_old_request_whose_caller_is_gone_runs_nowhere(
    eavesdropper: Eavesdropper, key: str, clock: Clock
) -> None:
    codec = get_codec()
    assert codec is not None
    id = new_id()
    content = codec.encode(((key,), {}))
    assert isinstance(content, bytes)
    request = envelopes.Request(
        id, f"{__name__}:count", codec.name, None, 0, None, id, 0, 1, 1, None, content
    )
    seal = codec.seal("default", codec.name)
    old = seal.seal(envelopes.encode(request), about_request("nobody"))

    clock.now += 2 * WINDOW
    await eavesdropper.publish(eavesdropper.names.requests, "default", old, id, "nobody")
    await is_settled(eavesdropper)

    assert tasks.journal[key] == []


async def test_call_that_waited_in_its_queue_for_long_runs(
    eavesdropper: Eavesdropper, key: str, clock: Clock
) -> None:
    router, transport = get_router(), get_transport()
    assert transport is not None
    await router.deactivate(0)
    call = asyncio.ensure_future(count(key))
    await eavesdropper.get(eavesdropper.copies)

    clock.now += 2 * WINDOW
    await router.activate(transport)

    assert await asyncio.wait_for(call, 10) == 1


async def test_old_message_to_a_process_is_dropped_and_the_clocks_are_named(
    eavesdropper: Eavesdropper, key: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    codec = get_codec()
    assert codec is not None
    call = asyncio.ensure_future(tasks.wait_at_gate(key, "true"))
    await until(lambda: "true started" in tasks.journal[key])
    [id] = eavesdropper.ids
    content = codec.encode("of yesterday")
    assert isinstance(content, bytes)
    answer = envelopes.encode(envelopes.Value(id, 0, None, content))
    seal = codec.seal("default", codec.name)
    old = seal.seal(answer, about_process(eavesdropper.address))

    clock.now += 2 * WINDOW
    await eavesdropper.publish(eavesdropper.names.replies, eavesdropper.address, old, id)

    await until(lambda: "clocks" in caplog.text)
    tasks.gates[key].set()
    assert await asyncio.wait_for(call, 10) == "true"


# -- damage ------------------------------------------------------------------------------------


class Damaging:
    """Stands between a transport and its seals, and flips a bit in some of what leaves."""

    def __init__(self, transport: AMQPTransport, share: float) -> None:
        self._sealing = transport.sealing
        self._share = share
        self._chance = random.Random(36)
        self.damaged = 0
        transport.packer._sealing = self  # type: ignore[assignment]  # does all of it

    def __getattr__(self, name: str) -> Callable[..., bytes]:
        seal = getattr(self._sealing, name)

        def sealed(*args: Any) -> bytes:
            return self._perhaps_damaged(seal(*args))

        return sealed

    def _perhaps_damaged(self, body: bytes) -> bytes:
        if self._chance.random() >= self._share:
            return body
        self.damaged += 1
        damaged = bytearray(body)
        damaged[self._chance.randrange(len(damaged))] ^= 1 << self._chance.randrange(8)
        return bytes(damaged)


@pytest.mark.parametrize("make", [MsgpackCodec, lambda: SignedCodec(MsgpackCodec(), KEY)])
async def test_damaged_messages_are_errors_or_answered_later(
    broker: Broker, make: Callable[[], Codec]
) -> None:
    make()
    router = get_router()
    # What was damaged is sent again soon.
    router.times = dataclasses.replace(router.times, overdue=0.3, warn_after=0.1)
    ends = {"right": 0, "refused": 0}
    async with serve(broker.url, prefix=broker.new_prefix(), grace=1):
        transport = get_transport()
        assert isinstance(transport, AMQPTransport)
        damaging = Damaging(transport, 0.1)

        async def call(number: int) -> None:
            value = ["x" * 20, number, {"k": number / 7}]
            try:
                assert await tasks.echo(value) == value
                ends["right"] += 1
            except errors.BadMessageError:
                ends["refused"] += 1

        async with asyncio.timeout(60):
            for _ in range(10):
                await asyncio.gather(*(call(number) for number in range(40)))
    assert damaging.damaged > 20
    assert sum(ends.values()) == 400
    assert ends["right"] > 300
