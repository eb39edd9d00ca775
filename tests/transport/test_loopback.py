"""What the transport within one loop does beyond the contract that all transports share."""

from __future__ import annotations

import asyncio

import pytest

from atasks_ng import atask, connect, current_call, serve
from atasks_ng.codecs import MsgpackCodec
from atasks_ng.router import get_router
from atasks_ng.transport import get_transport, transport_from_url
from atasks_ng.transport.base import LoopbackTransport
from atasks_ng.words.errors import BadURLError, NotConnectedError, OptionError, WrongLoopError


@atask
async def queue_of_call() -> str:
    call = current_call()
    assert call is not None
    return call.queue


@atask(queue="rare")
async def nested_in_another_queue(depth: int) -> int:
    return 1 + await nested_in_another_queue(depth - 1) if depth else 0


async def test_connecting_serves_queues_that_nobody_named_before() -> None:
    async with connect("loopback://"):
        async with asyncio.timeout(5):
            names = [await queue_of_call.options(queue=q)() for q in ("default", "later", "rare")]

    assert names == ["default", "later", "rare"]


async def test_calls_nest_in_any_queue_with_one_slot() -> None:
    async with serve("loopback://", queues=["default", "rare"], concurrency=1):
        async with asyncio.timeout(5):
            depth = await nested_in_another_queue(50)

    assert depth == 50


@pytest.mark.parametrize("url", ["loopback://", "loopback://?copy=0"])
async def test_another_event_loop_raises_while_the_connected_one_runs(url: str) -> None:
    async with connect(url):

        def elsewhere() -> None:
            with pytest.raises(WrongLoopError, match="run_coroutine_threadsafe"):
                asyncio.run(queue_of_call())
            with pytest.raises(WrongLoopError):
                asyncio.run(transport.connect())

        transport = get_transport()
        assert transport is not None
        await asyncio.wait_for(asyncio.to_thread(elsewhere), 5)
        assert await queue_of_call() == "default"


def test_transport_of_a_loop_that_is_over_connects_in_the_next_one() -> None:
    MsgpackCodec()
    transport = LoopbackTransport()
    asyncio.run(transport.connect())
    with pytest.raises(NotConnectedError):
        asyncio.run(queue_of_call())

    async def again() -> str:
        router = get_router()
        await transport.connect()
        await router.activate(transport)
        try:
            return await queue_of_call()
        finally:
            await router.deactivate(0)
            await transport.disconnect()

    assert asyncio.run(again()) == "default"
    assert not transport.is_linked


@pytest.mark.parametrize(
    ("url", "copies"),
    [
        ("loopback://", True),
        ("loopback://?copy=0", False),
        ("loopback://?copy=No", False),
        ("loopback:///?copy=off", False),
        ("loopback://?copy=1", True),
        ("loopback://?copy=true", True),
    ],
)
def test_url_says_whether_values_are_copied(url: str, copies: bool) -> None:
    assert transport_from_url(url).copies is copies


def test_what_the_url_says_counts() -> None:
    assert LoopbackTransport(url="loopback://?copy=0", copy=True).copies is False


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("loopback://?copy=2", "copy='2': give one of 0, no, off, false, 1, yes, on, true"),
        ("loopback://?copy=", "copy='': give one of 0, no, off, false, 1, yes, on, true"),
        ("loopback://?copy=0&copy=1", "it gives different values of copy"),
        ("loopback://?copies=0", "it has no option 'copies': the only one is copy"),
        ("loopback://?heartbeat=3", "it has no option 'heartbeat': the only one is copy"),
    ],
)
def test_query_that_cannot_be_used_is_refused(url: str, reason: str) -> None:
    with pytest.raises(BadURLError) as caught:
        transport_from_url(url)

    assert str(caught.value) == f"cannot use the transport URL {url!r}: {reason}"


def test_option_that_is_no_flag_is_refused() -> None:
    with pytest.raises(OptionError, match="copy=0: give True or False"):
        LoopbackTransport(copy=0)  # type: ignore[arg-type]


async def test_default_url_can_say_that_nothing_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATASKS_NG_URL", "loopback://?copy=0")
    value = object()

    async with connect():
        assert await give_back(value) is value


@atask
async def give_back(value: object) -> object:
    return value
