"""A link on which nothing moves any more is noticed soon, and one that is only slow is kept."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from yarl import URL

from atasks_ng.testing.broker import PrivateBroker
from atasks_ng.testing.proxy import Proxy
from atasks_ng.transport.backends.amqp.lane import Probe
from atasks_ng.transport.backends.amqp.lane.probe import PROBE_AFTER, PROBE_TIMEOUT, SLOW_TIMEOUT
from atasks_ng.transport.backends.amqp.lane.pulse import SharedTransport
from tests.transport.amqp.test_transport import Peer, Peers

#: Within which a dead link must be noticed while somebody waits, in seconds.
LIMIT = 5.0

BOTH = {"to_server": True, "to_client": True}
TO_SERVER = {"to_server": True, "to_client": False}
TO_CLIENT = {"to_server": False, "to_client": True}


class Network:
    """A broker behind a proxy, and peers on both sides of it."""

    def __init__(self, url: str, proxy: Proxy, options: dict[str, Any]) -> None:
        self.proxy = proxy
        self.peers = Peers(url, **options)
        self.behind = str(URL(url).with_host("127.0.0.1").with_port(proxy.port))

    async def peer(self, **options: Any) -> Peer:
        """Return a peer that reaches the broker through the proxy only."""
        return await self.peers.peer(self.behind, **options)


@pytest.fixture(params=[{}, {"fast": False}], ids=["fast", "plain"])
async def network(request: pytest.FixtureRequest, amqp_url: str) -> AsyncIterator[Network]:
    url = URL(amqp_url)
    assert url.host is not None
    with Proxy(url.host, url.port or 5672) as proxy:
        network = Network(amqp_url, proxy, request.param)
        yield network
        proxy.thaw()
        proxy.delay(0)
        await network.peers.close()


async def link_of(peer: Peer, timeout: float) -> bool:
    """Return whether the link came or went; fail if neither happens in time."""
    return await asyncio.wait_for(peer.links.get(), timeout)


@pytest.mark.parametrize(
    "frozen",
    [
        pytest.param(BOTH, id="both ways"),
        pytest.param(TO_SERVER, id="to the broker"),
        pytest.param(TO_CLIENT, id="to us"),
    ],
)
async def test_a_half_open_link_is_noticed_while_somebody_waits(
    network: Network, frozen: dict[str, bool]
) -> None:
    worker = await network.peers.worker()
    caller = await network.peer()
    caller.is_waiting = True
    caller.ask(b"before")
    delivery = await worker.delivery()

    begin = time.monotonic()
    network.proxy.freeze(**frozen)
    assert await link_of(caller, LIMIT) is False
    noticed = time.monotonic() - begin
    network.proxy.thaw()

    assert await link_of(caller, LIMIT) is True
    assert noticed >= PROBE_TIMEOUT
    delivery.finish(b"answer")
    assert await caller.answer() == b"answer"


@pytest.mark.parametrize("which", [pytest.param(0, id="publishes"), pytest.param(1, id="consumes")])
async def test_each_of_the_connections_is_probed(network: Network, which: int) -> None:
    peer = await network.peer()
    peer.is_waiting = True
    session: Any = peer.transport._session

    session._links[which].wire.transport.write = lambda data: None

    assert await link_of(peer, LIMIT) is False
    assert await link_of(peer, LIMIT) is True


async def test_a_half_open_link_is_found_by_heartbeats_while_nobody_waits(
    network: Network,
) -> None:
    peer = await network.peer(heartbeat=1)

    begin = time.monotonic()
    network.proxy.freeze()
    assert await link_of(peer, 15) is False
    noticed = time.monotonic() - begin
    network.proxy.thaw()

    assert await link_of(peer, 15) is True
    # Three heartbeats and their grace.
    assert noticed > LIMIT


async def test_nothing_is_asked_while_nobody_waits(amqp_url: str) -> None:
    url = URL(amqp_url)
    assert url.host is not None
    sent: list[bytes] = []

    def watch(to_server: bool, data: bytes) -> None:
        if to_server:
            sent.append(data)

    with Proxy(url.host, url.port or 5672, watch) as proxy:
        network = Network(amqp_url, proxy, {})
        peer = await network.peer()
        await asyncio.sleep(PROBE_AFTER)
        sent.clear()
        await asyncio.sleep(2 * PROBE_AFTER)
        asked_while_idle = list(sent)
        peer.is_waiting = True
        await asyncio.sleep(2 * PROBE_AFTER)
        asked_while_waiting = list(sent)
        await network.peers.close()

    assert asked_while_idle == []
    assert asked_while_waiting != []


async def test_a_second_of_delay_is_no_alarm(network: Network) -> None:
    worker, caller = await network.peer(), await network.peer()
    await worker.transport.consume("default", 100)
    worker.echoes = worker.is_waiting = caller.is_waiting = True

    network.proxy.delay(1.0)
    for number in range(100):
        caller.ask(b"%d" % number)
        await asyncio.sleep(0.1)
    answers = [await caller.answer() for _ in range(100)]
    # Nothing but probes from now on.
    await asyncio.sleep(6)

    assert sorted(map(int, answers)) == list(range(100))
    assert caller.links.empty()
    assert worker.links.empty()


async def test_a_broker_short_of_memory_is_no_alarm(
    private_broker: Callable[..., PrivateBroker],
) -> None:
    broker = private_broker()
    for options in ({}, {"fast": False}):
        peers = Peers(broker.url, **options)
        worker, caller = await peers.worker(), await peers.peer()
        worker.echoes = worker.is_waiting = caller.is_waiting = True

        await asyncio.to_thread(broker.ctl, "set_vm_memory_high_watermark", "0.000001")
        caller.ask(b"body")
        await asyncio.sleep(PROBE_AFTER + PROBE_TIMEOUT + 1)
        await asyncio.to_thread(broker.ctl, "set_vm_memory_high_watermark", "0.4")

        assert await caller.answer() == b"body"
        assert caller.links.empty()
        assert worker.links.empty()
        await peers.close()


# -- what excuses the broker -------------------------------------------------------------------


class Stream:
    """The bytes of a connection: how many were written, and wait here."""

    def __init__(self) -> None:
        self.written_bytes = 0
        self.waiting_bytes = 0
        self.reads = True

    def get_write_buffer_size(self) -> int:
        return self.waiting_bytes

    def is_reading(self) -> bool:
        return self.reads

    def get_extra_info(self, name: str) -> None:
        return None


class Line:
    """A connection whose broker never answers."""

    def __init__(self) -> None:
        self.transport: Any = Stream()
        self.is_blocked = False
        self.reasons: list[str] = []
        self.probe = Probe(self, self._ask, lambda: True, self.reasons.append)
        self.quiet = 0.0

    async def _ask(self) -> None:
        await asyncio.Event().wait()

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(int(seconds * 4)):
            self.quiet += 0.25
            self.probe.turn(0.25, self.quiet)


async def test_no_answer_in_time_is_an_alarm() -> None:
    line = Line()

    line.turn(PROBE_AFTER + PROBE_TIMEOUT - 0.25)
    assert line.reasons == []
    line.turn(0.25)

    assert len(line.reasons) == 1


async def test_a_question_waits_for_what_was_written_before() -> None:
    line = Line()
    line.transport.written_bytes = line.transport.waiting_bytes = 1000
    line.turn(PROBE_AFTER)

    for _ in range(10):
        line.transport.waiting_bytes -= 100
        line.turn(2)
    assert line.reasons == []
    # All of it is out. What is written now is behind the question.
    line.transport.written_bytes += 1000
    line.turn(PROBE_TIMEOUT)

    assert len(line.reasons) == 1


async def test_what_does_not_get_out_is_no_excuse() -> None:
    line = Line()
    line.transport.written_bytes = line.transport.waiting_bytes = 1000

    line.turn(PROBE_AFTER + PROBE_TIMEOUT)

    assert len(line.reasons) == 1


async def test_news_is_an_excuse() -> None:
    line = Line()
    line.turn(PROBE_AFTER)

    for _ in range(10):
        line.turn(2)
        line.quiet = -0.25
    assert line.reasons == []
    line.turn(PROBE_TIMEOUT + 0.25)

    assert len(line.reasons) == 1


@pytest.mark.parametrize("excuse", ["blocked", "not read"])
async def test_a_broker_that_cannot_answer_is_excused(excuse: str) -> None:
    line = Line()
    line.turn(PROBE_AFTER)

    line.is_blocked = excuse == "blocked"
    line.transport.reads = excuse != "not read"
    line.turn(60)
    assert line.reasons == []
    line.is_blocked, line.transport.reads = False, True
    line.turn(PROBE_TIMEOUT)

    assert len(line.reasons) == 1


async def _stands_still(transport: SharedTransport) -> None:
    """Return when the machines have moved as much as they can keep."""
    before, still = -1, 0
    while still < 5:
        await asyncio.sleep(0.1)
        size = transport.get_write_buffer_size()
        before, still = size, still + 1 if size == before else 0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
async def test_a_broker_that_reads_slowly_has_more_time() -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport, _ = await loop.create_connection(asyncio.Protocol, *server.getsockname())
        peer, _ = server.accept()
        line = Line()
        line.transport = SharedTransport(transport)
        # More than both machines keep: the peer has none of the rest, and says so.
        line.transport.write(bytes(64 * 1024 * 1024))
        await _stands_still(line.transport)
        line.turn(PROBE_AFTER)

        line.turn(SLOW_TIMEOUT - 0.25)
        assert line.reasons == []
        line.turn(0.25)
        assert len(line.reasons) == 1

        # A machine that acknowledges nothing is not slow.
        line.reasons.clear()
        line.transport.get_extra_info = lambda name: None
        line.turn(PROBE_AFTER + PROBE_TIMEOUT)
        assert len(line.reasons) == 1

        peer.close()
        line.transport.abort()
