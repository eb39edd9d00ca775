"""Making the link, and making it again: to which broker, how often, and how soon."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from atasks_ng.testing.broker import PrivateBroker, free_port
from atasks_ng.testing.proxy import Proxy
from atasks_ng.transport.backends.amqp import AMQPTransport
from atasks_ng.transport.backends.amqp.dialing import Dialer, first_of
from atasks_ng.transport.backends.amqp.settings import Settings
from atasks_ng.words.errors import (
    AccessDeniedError,
    BadURLError,
    ConnectionLostError,
    OptionError,
    TLSError,
)
from tests.transport.amqp.test_transport import Peer, Peers


class Clock:
    """Tells the time that the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def dial_times(
    failure: Exception, seconds: float, **options: Any
) -> tuple[list[float], list[float]]:
    """Lose a link and fail for some seconds; return when it was dialed, and the pauses between."""
    clock = Clock()
    dialer = Dialer(Settings("amqp://localhost/", **options), clock)
    dialer.dialed()
    clock.now += 3600
    begun = clock.now
    dialer.lost()
    times = []
    while clock.now - begun < seconds:
        clock.now += dialer.pause()
        dialer.dialed()
        times.append(clock.now - begun)
        dialer.failed(failure)
    return times, [later - earlier for earlier, later in itertools.pairwise(times)]


# -- the pace ----------------------------------------------------------------------------------


def test_lost_link_is_dialed_at_once_and_then_at_most_twice_a_second() -> None:
    times, pauses = dial_times(ConnectionLostError("refused"), 600)

    assert times[0] <= 0.1
    assert min(pauses) > 0.5
    assert max(pauses) <= 0.75
    assert len(set(pauses)) > 100  # not in step with others


def test_dials_become_rarer_where_that_is_wanted() -> None:
    times, pauses = dial_times(ConnectionLostError("refused"), 600, reconnect_delay=60.0)

    assert times[0] <= 0.1
    assert 0.5 < pauses[0] <= 0.75
    assert min(pauses[10:]) >= 36
    assert max(pauses) <= 60


@pytest.mark.parametrize(
    ("failure", "first"), [(TLSError("expired"), 3.0), (AccessDeniedError("no"), 0.5)]
)
def test_refusals_are_dialed_slowly(failure: Exception, first: float) -> None:
    _, pauses = dial_times(failure, 600)

    assert first <= pauses[0]
    assert min(pauses[5:]) >= 3.0
    assert max(pauses) <= 5.0


def test_link_that_breaks_at_once_counts_as_a_failed_try() -> None:
    clock = Clock()
    dialer = Dialer(Settings("amqp://localhost/"), clock)
    times = []
    for _ in range(100):
        clock.now += dialer.pause()
        dialer.dialed()
        times.append(clock.now)
        clock.now += 0.01
        dialer.lost()

    assert min(later - earlier for earlier, later in itertools.pairwise(times)) > 0.5


def test_refusals_are_told_after_the_grace_time_only_if_there_was_nothing_else() -> None:
    clock = Clock()
    dialer = Dialer(Settings("amqp://localhost/", access_grace=30.0), clock)
    denied = AccessDeniedError("no")

    told = []
    for failure in (denied, denied, ConnectionLostError("away"), denied, denied, denied):
        told.append(dialer.failed(failure))
        clock.now += 20

    assert told == [False, False, False, False, False, True]


# -- several tries at once ---------------------------------------------------------------------


async def test_try_that_hangs_is_overtaken_and_let_go_of() -> None:
    begun: list[int] = []
    ended: list[int] = []

    async def make() -> int:
        begun.append(number := len(begun))
        try:
            await asyncio.sleep(60 if number < 2 else 0)
        finally:
            ended.append(number)
        return number

    assert await first_of(make, 0.02, lambda late: None) == 2

    await asyncio.sleep(0)
    assert sorted(ended) == [0, 1, 2]


async def test_try_that_succeeds_too_late_is_discarded() -> None:
    both = asyncio.Event()
    numbers = itertools.count()
    discarded: list[int] = []

    async def make() -> int:
        number = next(numbers)
        if number:
            both.set()
        await both.wait()
        return number

    won = await first_of(make, 0.01, discarded.append)

    await asyncio.sleep(0.01)
    assert sorted([won, *discarded]) == [0, 1]


async def test_first_failure_is_raised() -> None:
    async def make() -> int:
        raise OSError("refused")

    with pytest.raises(OSError, match="refused"):
        await first_of(make, 60, lambda late: None)


# -- over sockets ------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def listener(port: int = 0) -> AsyncIterator[tuple[int, list[float]]]:
    """Accept and end each connection at once; yield the port and when they came."""
    came: list[float] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(time.monotonic())
        writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1], came
    finally:
        server.close()


async def wait_link(peer: Peer, up: bool, timeout: float = 20) -> None:
    """Return when the receiver was told this about the link."""
    assert await asyncio.wait_for(peer.links.get(), timeout) is up


@pytest.mark.parametrize("fast", [True, False])
async def test_listener_that_hangs_up_is_not_stormed(amqp_url: str, fast: bool) -> None:
    parts = Settings(amqp_url).urls[0]
    with Proxy(parts.host or "", parts.port or 5672) as proxy:
        peers = Peers(str(parts.with_host("127.0.0.1").with_port(proxy.port)), fast=fast)
        peer = await peers.peer()
        port = proxy.port

        proxy.stop()
        await wait_link(peer, False)
        async with listener(port) as (_, came):
            await asyncio.sleep(4)

    gaps = [later - earlier for earlier, later in itertools.pairwise(came)]
    assert 4 <= len(came) <= 8
    assert min(gaps[1:]) > 0.4
    await peers.close()


@pytest.mark.parametrize("reset", [True, False])
async def test_link_is_back_within_a_second_of_the_network(amqp_url: str, reset: bool) -> None:
    parts = Settings(amqp_url).urls[0]
    with Proxy(parts.host or "", parts.port or 5672) as proxy:
        peers = Peers(str(parts.with_host("127.0.0.1").with_port(proxy.port)))
        peer = await peers.peer()
        took = []
        for outage in (0.0, 1.3, 2.6):
            proxy.refuse()
            proxy.cut(reset=reset)
            await wait_link(peer, False)
            assert not peer.transport.is_linked
            await asyncio.sleep(outage)

            proxy.refuse(False)
            begun = time.monotonic()
            await wait_link(peer, True)
            took.append(time.monotonic() - begun)
            assert peer.transport.is_linked
        await peers.close()

    assert max(took) < 1.8, took  # 0.75 s from one dial to the next; the rest is the machine's


async def test_link_is_back_soon_after_a_network_that_swallowed_everything(amqp_url: str) -> None:
    parts = Settings(amqp_url).urls[0]
    with Proxy(parts.host or "", parts.port or 5672) as proxy:
        peers = Peers(str(parts.with_host("127.0.0.1").with_port(proxy.port)))
        peer = await peers.peer()
        port = proxy.port
        proxy.stop()
        await wait_link(peer, False)
        # A full queue of connections that nobody accepts: the system answers to none.
        hole = socket.create_server(("127.0.0.1", port), backlog=0)
        filling = [socket.socket() for _ in range(3)]
        for each in filling:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        # Linux tries again after 1, 2, 3, 4, 5, 7 and 11 s, or after 1, 3, 7 and 15.
        await asyncio.sleep(8.3)

        for each in (*filling, hole):
            each.close()
        async with passing_on(port, parts.host or "", parts.port or 5672):
            begun = time.monotonic()
            await wait_link(peer, True)
            took = time.monotonic() - begun
            await peers.close()

    assert took < 1.8


@contextlib.asynccontextmanager
async def passing_on(port: int, host: str, to: int) -> AsyncIterator[None]:
    """Pass on what comes to a port that somebody else had before."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            while data := await reader.read(65536):
                writer.write(data)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(host, to)
        await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()


async def test_calls_are_answered_soon_after_a_restart_of_the_broker(
    private_broker: Callable[..., PrivateBroker], caplog: pytest.LogCaptureFixture
) -> None:
    broker = private_broker()
    peers = Peers(broker.url)
    worker, caller = await peers.worker(), await peers.peer()
    worker.echoes = True
    caplog.set_level(logging.INFO)

    await asyncio.to_thread(broker.stop)
    await asyncio.sleep(2)
    await asyncio.to_thread(broker.start)
    begun = time.monotonic()
    for peer in (worker, caller):
        await wait_link(peer, False)
        await wait_link(peer, True)
    caller.ask(b"body")
    await caller.answer()

    assert time.monotonic() - begun < 2
    refused = [record for record in caplog.records if "trying again" in record.message]
    assert len(refused) <= 2 * 3, "told once for each reason and process, not for each dial"
    assert not [each for each in caplog.records if "creating transport" in each.message]
    await peers.close()


async def test_calls_end_when_keeping_the_link_fails(amqp_url: str) -> None:
    class Failing(Peer):
        def on_link(self, *, up: bool) -> None:
            raise RuntimeError("a receiver that fails")

    peer = Failing(amqp_url, f"t{uuid.uuid4().hex}")
    await peer.transport.connect()
    session: Any = peer.transport._session

    session._fail("as if")

    error = await asyncio.wait_for(peer.abandoned.get(), 10)
    assert isinstance(error, ConnectionLostError)
    assert "a receiver that fails" in str(error)
    await peer.transport.disconnect()


# -- several brokers ---------------------------------------------------------------------------


async def test_next_broker_is_used_when_one_fails(amqp_url: str) -> None:
    parts = Settings(amqp_url).urls[0]
    dead = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    with Proxy(parts.host or "", parts.port or 5672) as first:
        through = str(parts.with_host("127.0.0.1").with_port(first.port))
        peers = Peers(f"{dead},{through}, {amqp_url}")

        peer = await peers.peer()
        assert first.connections == 2
        first.refuse()
        first.cut()

        await wait_link(peer, False)
        await wait_link(peer, True, timeout=1)
        assert first.connections == 0
        await peers.close()


async def test_brokers_may_be_a_sequence(amqp_url: str) -> None:
    dead = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    transport = AMQPTransport("sequence", [dead, amqp_url])

    await transport.connect()

    assert transport.is_linked
    await transport.disconnect()
    assert not transport.is_linked


async def test_each_broker_is_named_when_none_can_be_used() -> None:
    ports = [free_port(), free_port()]
    url = ",".join(f"amqp://me:secret@127.0.0.1:{port}/" for port in ports)
    transport = AMQPTransport("none", url)

    with pytest.raises(ConnectionLostError) as caught:
        await transport.connect()

    text = str(caught.value)
    assert all(f"me:***@127.0.0.1:{port}" in text for port in ports)
    assert "secret" not in text + repr(transport) + repr(transport.settings)


def test_brokers_of_different_virtual_hosts_are_refused() -> None:
    with pytest.raises(BadURLError, match="one virtual host"):
        AMQPTransport("mixed", "amqp://me:secret@a/one,amqp://me:secret@b/two")


# -- options in the URL ------------------------------------------------------------------------


def test_options_are_taken_from_the_url() -> None:
    url = "amqp://a/host?prefix=mine&queue_type=quorum&heartbeat=5&fast=no&reconnect_delay=2.5"

    settings = AMQPTransport("query", f"{url}&name=me,amqp://b/host").settings

    assert (settings.prefix, settings.queue_type, settings.heartbeat) == ("mine", "quorum", 5)
    assert (settings.fast, settings.reconnect_delay) == (False, 2.5)
    assert [dict(each.query) for each in settings.urls] == [{"name": "me"}, {}]
    assert settings.dial_url("calls").query["heartbeat"] == "5"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("prefex=x", "no option 'prefex'.*prefix"),
        ("heartbeat=soon", "heartbeat='soon': give a whole number"),
        ("fast=maybe", "fast='maybe': give one of"),
        ("unsafe_no_verify=1", "no option 'unsafe_no_verify'"),
        ("credentials=x", "no option 'credentials'"),
    ],
)
def test_options_in_the_url_are_checked(query: str, reason: str) -> None:
    with pytest.raises(BadURLError, match=reason) as caught:
        AMQPTransport("query", f"amqp://me:secret@host/?{query}")

    assert "secret" not in str(caught.value)


def test_option_in_the_url_that_is_out_of_range_is_refused() -> None:
    with pytest.raises(OptionError, match="queue_type='stream'"):
        AMQPTransport("query", "amqp://host/?queue_type=stream")


def test_brokers_that_differ_in_an_option_are_refused() -> None:
    with pytest.raises(BadURLError, match="different values of prefix"):
        AMQPTransport("query", "amqp://a/?prefix=x,amqp://b/?prefix=y")
