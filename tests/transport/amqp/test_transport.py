"""The transport over a broker, with the fast lane and without: the same, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextvars import Context
from typing import Any

import aiormq
import pytest

from atasks_ng.protocol import envelopes
from atasks_ng.testing.broker import PrivateBroker
from atasks_ng.transport.backends.amqp import AMQPTransport
from atasks_ng.transport.base import NESTED, PROCESS, ROOT, WORKERS, Delivery, Message
from atasks_ng.words.errors import OptionError, ProtocolError, TooLargeError
from atasks_ng.words.ids import new_id

MIB = 1024 * 1024


class Peer:
    """A process that calls, and performs by echoing; keeps what the transport brought."""

    def __init__(self, url: str, namespace: str, **options: Any) -> None:
        self.transport = AMQPTransport(namespace, url, **options)
        self.transport.bind(self)
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()
        self.deliveries: asyncio.Queue[Delivery] = asyncio.Queue()
        self.returned: asyncio.Queue[Message] = asyncio.Queue()
        self.gone: asyncio.Queue[str] = asyncio.Queue()
        self.links: asyncio.Queue[bool] = asyncio.Queue()
        self.abandoned: asyncio.Queue[BaseException] = asyncio.Queue()
        self.echoes = False
        self.is_waiting = False

    def on_request(self, delivery: Delivery) -> None:
        if self.echoes:
            delivery.finish(bytes(delivery.body))
        else:
            self.deliveries.put_nowait(delivery)

    def on_envelope(self, body: bytes, context: Context | None = None) -> None:
        self.answers.put_nowait(bytes(body))

    def on_refused(self, error: ProtocolError, complaint: envelopes.Refusal | None = None) -> None:
        raise AssertionError(error)

    def on_returned(self, message: Message) -> None:
        self.returned.put_nowait(message)

    def on_gone(self, id: str) -> None:
        self.gone.put_nowait(id)

    def on_failed(self, message: Message, error: BaseException) -> None:
        raise AssertionError(error)

    def on_link(self, *, up: bool) -> None:
        self.links.put_nowait(up)

    def on_abandoned(self, error: BaseException) -> None:
        self.abandoned.put_nowait(error)

    def ask(self, body: bytes, kind: str = ROOT, **options: Any) -> Message:
        message = Message(kind, "default", new_id(), body, **options)
        self.transport.post(message)
        return message

    async def answer(self) -> bytes:
        return await asyncio.wait_for(self.answers.get(), 30)

    async def delivery(self) -> Delivery:
        return await asyncio.wait_for(self.deliveries.get(), 30)


class Peers:
    """Makes callers and workers of one namespace, and lets go of them."""

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url
        self.namespace = f"t{uuid.uuid4().hex}"
        self.options = options
        self.made: list[Peer] = []

    async def peer(self, url: str | None = None, **options: Any) -> Peer:
        peer = Peer(url or self.url, self.namespace, **self.options, **options)
        await peer.transport.connect()
        self.made.append(peer)
        return peer

    async def worker(self, window: int = 100, **options: Any) -> Peer:
        peer = await self.peer(**options)
        await peer.transport.consume("default", window)
        return peer

    async def close(self) -> None:
        for peer in self.made:
            await peer.transport.disconnect()


MODES = [
    pytest.param({}, id="fast"),
    pytest.param({"confirms": True}, id="confirming"),
    pytest.param({"fast": False}, id="plain"),
]


@pytest.fixture(params=MODES)
async def peers(request: pytest.FixtureRequest, amqp_url: str) -> AsyncIterator[Peers]:
    peers = Peers(amqp_url, **request.param)
    yield peers
    await peers.close()


@pytest.fixture(params=MODES)
def modes(request: pytest.FixtureRequest) -> dict[str, bool]:
    """Options of the transport."""
    found: dict[str, bool] = request.param
    return found


@pytest.mark.parametrize("size", [0, 1, 70_000, MIB, 5 * MIB])
@pytest.mark.parametrize("kind", [ROOT, NESTED])
async def test_a_request_is_answered(peers: Peers, kind: str, size: int) -> None:
    worker, caller = await peers.worker(), await peers.peer()
    body = b"b" * size

    message = caller.ask(body, kind)
    delivery = await worker.delivery()
    delivery.say(b"notice")
    delivery.finish(bytes(delivery.body)[::-1])

    assert (delivery.id, delivery.nested, delivery.queue) == (message.id, kind == NESTED, "default")
    assert not delivery.redelivered
    assert await caller.answer() == b"notice"
    assert await caller.answer() == body


@pytest.mark.parametrize("count", [10_000])
async def test_many_calls_in_flight_are_answered_once_each(peers: Peers, count: int) -> None:
    count = count if peers.options.get("fast", True) else count // 5
    worker, caller = await peers.worker(), await peers.peer()
    worker.echoes = True

    for number in range(count):
        caller.ask(b"%d" % number)
    answers = [await caller.answer() for _ in range(count)]

    assert Counter(answers) == {b"%d" % number: 1 for number in range(count)}


async def test_a_request_that_nobody_serves_comes_back(peers: Peers) -> None:
    caller = await peers.peer()

    sent = [caller.ask(b"root"), caller.ask(b"nested", NESTED)]

    for message in sent:
        returned = await asyncio.wait_for(caller.returned.get(), 10)
        assert (returned.kind, returned.target) == (message.kind, message.target)
        assert returned.id == message.id


async def test_an_answer_to_nobody_is_told_and_settles_its_request(peers: Peers) -> None:
    worker, caller = await peers.worker(), await peers.peer()
    message = caller.ask(b"body")
    delivery = await worker.delivery()
    await caller.transport.disconnect()

    delivery.say(b"notice")
    assert await asyncio.wait_for(worker.gone.get(), 10) == message.id
    delivery.finish(b"answer")
    assert await asyncio.wait_for(worker.gone.get(), 10) == message.id
    await worker.transport.flush()
    await worker.transport.disconnect()

    other = await peers.worker()
    await asyncio.sleep(0.1)
    assert other.deliveries.empty()


async def test_a_request_of_a_lost_worker_goes_to_another(peers: Peers) -> None:
    worker, caller = await peers.worker(), await peers.peer()
    message = caller.ask(b"body")
    await worker.delivery()
    await worker.transport.disconnect()

    other = await peers.worker()
    delivery = await other.delivery()

    assert (delivery.id, delivery.redelivered) == (message.id, True)


async def test_a_request_that_is_handed_back_comes_again(peers: Peers) -> None:
    worker, caller = await peers.worker(), await peers.peer()
    message = caller.ask(b"body")
    (await worker.delivery()).hand_back()

    again = await worker.delivery()

    assert (again.id, again.redelivered) == (message.id, True)


async def test_a_refused_request_is_kept_for_operators(peers: Peers) -> None:
    worker, caller = await peers.worker(), await peers.peer()
    message = caller.ask(b"what is this")

    (await worker.delivery()).refuse("no envelope", b"refused")

    assert await caller.answer() == b"refused"
    connection = await aiormq.connect(peers.url)
    channel = await connection.channel()
    dead = await channel.basic_get(f"atasks_ng.{peers.namespace}.dead", no_ack=True)
    await connection.close()
    properties = dead.header.properties
    assert dead.body == worker.transport.sealing.request(b"what is this", caller.transport.address)
    assert properties.correlation_id == message.id
    assert properties.headers == {"reason": "no envelope", "queue": "default"}


async def test_what_goes_to_all_workers_reaches_each(peers: Peers) -> None:
    workers = [await peers.worker(), await peers.worker()]
    caller = await peers.peer()

    caller.ask(b"cancel", WORKERS)

    assert [await worker.answer() for worker in workers] == [b"cancel"] * 2


async def test_one_process_is_reached_by_its_address(peers: Peers) -> None:
    peer, other = await peers.peer(), await peers.peer()
    assert peer.transport.address is not None

    other.transport.post(Message(PROCESS, peer.transport.address, new_id(), b"pull"))

    assert await peer.answer() == b"pull"


async def test_a_deadline_beyond_what_the_broker_can_count_is_none(peers: Peers) -> None:
    worker, caller = await peers.worker(), await peers.peer()

    for ttl_ms in (60_000, 2**32 - 2, 2**32 - 1, 2**40):
        caller.ask(b"%d" % ttl_ms, ttl_ms=ttl_ms)
        delivery = await worker.delivery()
        delivery.finish(None)
        assert delivery.body == b"%d" % ttl_ms


async def test_what_is_too_large_fails_before_it_is_sent(amqp_url: str, modes: Any) -> None:
    peers = Peers(amqp_url, **modes)
    worker = await peers.worker(max_message_bytes=1000)
    caller = await peers.peer(max_message_bytes=2000)

    # Its checksum counts.
    with pytest.raises(TooLargeError, match=r"2006 .*max_message_bytes=.* URL of the caller"):
        caller.ask(b"b" * 2001)
    message = caller.ask(b"small")
    value = envelopes.Value(message.id, 0, None, b"b" * 3000)
    (await worker.delivery()).finish(envelopes.encode(value))

    refusal = envelopes.decode(await caller.answer())
    assert isinstance(refusal, envelopes.Refusal)
    assert (refusal.id, refusal.error, refusal.args[1]) == (message.id, "TooLargeError", 1000)
    assert "max_message_bytes=... in the URL of the worker" in str(TooLargeError(*refusal.args))
    await peers.close()


@pytest.mark.parametrize("size", [0, -1, 1.5, True, None])
def test_the_largest_message_must_be_a_number_of_bytes(size: Any) -> None:
    with pytest.raises(OptionError, match="max_message_bytes"):
        AMQPTransport("options", max_message_bytes=size)


async def test_the_window_bounds_what_a_worker_holds(peers: Peers) -> None:
    worker, caller = await peers.worker(window=10), await peers.peer()
    for number in range(30):
        caller.ask(b"%d" % number)
    held = [await worker.delivery() for _ in range(10)]
    await asyncio.sleep(0.1)
    assert worker.deliveries.empty()

    for delivery in held[5:]:
        delivery.finish(None)
    more = [await worker.delivery() for _ in range(5)]

    await asyncio.sleep(0.1)
    assert worker.deliveries.empty()
    worker.transport.widen("default", nested=False, suspended=7)
    more += [await worker.delivery() for _ in range(7)]
    await asyncio.sleep(0.1)
    assert worker.deliveries.empty()
    assert [int(delivery.body) for delivery in more] == list(range(10, 22))


async def test_nothing_is_taken_after_consuming_was_stopped(peers: Peers) -> None:
    worker, caller = await peers.worker(), await peers.peer()
    caller.ask(b"before")
    delivery = await worker.delivery()

    await worker.transport.stop_consuming()
    caller.ask(b"after")
    delivery.finish(b"answer")

    assert await caller.answer() == b"answer"
    await asyncio.sleep(0.1)
    assert worker.deliveries.empty()


# -- a broker in trouble -----------------------------------------------------------------------


async def test_calls_wait_while_the_broker_is_short_of_memory(
    private_broker: Callable[..., PrivateBroker], modes: dict[str, bool]
) -> None:
    broker = private_broker()
    peers = Peers(broker.url, **modes)
    worker, caller = await peers.worker(), await peers.peer()
    held = [caller.ask(b"held %d" % number) for number in range(20)]
    deliveries = [await worker.delivery() for _ in held]

    await asyncio.to_thread(broker.ctl, "set_vm_memory_high_watermark", "0.000001")
    sent = [caller.ask(b"sent %d" % number) for number in range(500)]
    for delivery in deliveries:
        delivery.finish(bytes(delivery.body))
    worker.echoes = True
    await asyncio.sleep(1)
    assert not caller.transport.is_writable
    assert caller.answers.empty()
    await asyncio.to_thread(broker.ctl, "set_vm_memory_high_watermark", "0.4")

    answers = Counter([await caller.answer() for _ in held + sent])
    assert answers == Counter([message.body for message in held + sent])
    assert caller.transport.is_writable
    assert caller.links.empty()
    assert worker.links.empty()
    await peers.close()


async def test_a_process_ends_in_time_while_the_broker_is_short_of_memory(
    private_broker: Callable[..., PrivateBroker], modes: dict[str, bool]
) -> None:
    broker = private_broker()
    peers = Peers(broker.url, request_timeout=2.0, **modes)
    worker, caller = await peers.worker(), await peers.peer()
    caller.ask(b"body")
    delivery = await worker.delivery()
    await asyncio.to_thread(broker.ctl, "set_vm_memory_high_watermark", "0.000001")
    delivery.finish(b"answer")
    await asyncio.sleep(0.2)

    async with asyncio.timeout(15):
        await worker.transport.stop_consuming()
        await worker.transport.flush()
        await worker.transport.disconnect()
    await asyncio.to_thread(broker.ctl, "set_vm_memory_high_watermark", "0.4")

    # Where the broker had taken the answer, the caller has it; else another worker has the request.
    other = await peers.worker()
    ways = [asyncio.create_task(caller.answer()), asyncio.create_task(other.delivery())]
    done, waiting = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    assert [task.result() for task in done]
    await peers.close()


async def test_the_link_heals_and_nothing_is_lost(
    private_broker: Callable[..., PrivateBroker], modes: dict[str, bool]
) -> None:
    broker = private_broker()
    peers = Peers(broker.url, **modes)
    worker, caller = await peers.worker(), await peers.peer()
    held = caller.ask(b"held")
    delivery = await worker.delivery()

    await asyncio.to_thread(broker.ctl, "close_all_connections", "test")
    for peer in (worker, caller):
        assert await asyncio.wait_for(peer.links.get(), 10) is False
        assert await asyncio.wait_for(peer.links.get(), 10) is True
    delivery.finish(b"an answer on the next session")
    again = await worker.delivery()
    again.finish(b"another")
    caller.ask(b"after")
    (await worker.delivery()).finish(b"answer")

    assert (again.id, again.redelivered) == (held.id, True)
    answers = [await caller.answer() for _ in range(3)]
    assert answers == [b"an answer on the next session", b"another", b"answer"]
    await peers.close()


async def test_a_channel_that_the_broker_closes_is_made_anew(peers: Peers) -> None:
    worker, caller = await peers.worker(), await peers.peer()
    session: Any = worker.transport._session
    # An acknowledgement of what was never delivered.
    session._work.ack(999)

    assert await asyncio.wait_for(worker.links.get(), 10) is False
    assert await asyncio.wait_for(worker.links.get(), 10) is True
    caller.ask(b"body")

    (await worker.delivery()).finish(b"answer")
    assert await caller.answer() == b"answer"


async def test_a_stream_that_breaks_ends_the_session(amqp_url: str) -> None:
    peers = Peers(amqp_url)
    worker, caller = await peers.worker(), await peers.peer()
    session: Any = worker.transport._session

    with contextlib.suppress(ConnectionError):
        session._work._wire.take(b"\x03\x00\x02 this is no frame")
    assert await asyncio.wait_for(worker.links.get(), 10) is False
    assert await asyncio.wait_for(worker.links.get(), 10) is True
    caller.ask(b"body")

    (await worker.delivery()).finish(b"answer")
    assert await caller.answer() == b"answer"
    await peers.close()
