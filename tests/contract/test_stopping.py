"""A worker that stops: what runs may end, what waits goes to another one, nothing is lost."""

from __future__ import annotations

import asyncio

import pytest

from atasks_ng import connect
from atasks_ng.codecs import MsgpackCodec
from atasks_ng.router import get_router
from atasks_ng.transport import get_transport
from atasks_ng.transport.base import LoopbackTransport, Transport
from atasks_ng.words import errors

from . import tasks
from .worlds import World, until


def transport_of(world: World) -> Transport:
    found = get_transport()
    assert found is not None
    return found


async def test_running_call_ends_within_the_grace(near_world: World, key: str) -> None:
    call = asyncio.ensure_future(tasks.wait_at_gate(key, "call"))
    await until(lambda: "call started" in tasks.journal[key])

    stopping = asyncio.ensure_future(near_world.router.deactivate(10))
    await asyncio.sleep(0.02)
    tasks.gates[key].set()

    assert await stopping == 0
    assert await call == "call"


async def test_running_call_is_handed_back_after_the_grace(near_world: World, key: str) -> None:
    transport = transport_of(near_world)
    call = asyncio.ensure_future(tasks.wait_at_gate(key, "call"))
    await until(lambda: "call started" in tasks.journal[key])

    handed_back = await near_world.router.deactivate(0)

    assert handed_back == 1
    if near_world.place.transport == "own":
        with pytest.raises(ConnectionError, match="the worker is stopping"):
            await call
        return
    tasks.gates[key].set()
    await near_world.router.activate(transport)
    assert await call == "call"
    assert tasks.journal[key].count("call started") == 2


async def test_waiting_call_is_handed_back_at_once(narrow_near_world: World, key: str) -> None:
    transport = transport_of(narrow_near_world)
    first = asyncio.ensure_future(tasks.wait_at_gate(key, "first"))
    await until(lambda: "first started" in tasks.journal[key])
    second = asyncio.ensure_future(tasks.wait_at_gate(key, "second"))
    await asyncio.sleep(0.05)

    stopping = asyncio.ensure_future(narrow_near_world.router.deactivate(10))
    await asyncio.sleep(0.05)
    tasks.gates[key].set()
    await stopping

    assert await first == "first"
    assert "second started" not in tasks.journal[key]
    await narrow_near_world.router.activate(transport)
    assert await second == "second"


async def test_worker_performs_again_when_it_is_activated_again(near_world: World) -> None:
    transport = transport_of(near_world)
    assert await tasks.add(1) == 2

    await near_world.router.deactivate(0)
    await near_world.router.activate(transport)

    assert await tasks.add(2) == 3


async def test_activating_twice_changes_nothing(near_world: World) -> None:
    await near_world.router.activate(transport_of(near_world))

    assert await tasks.add(1) == 2


async def test_deactivating_twice_changes_nothing(near_world: World) -> None:
    await near_world.router.deactivate(0)

    assert await near_world.router.deactivate(0) == 0


async def test_activating_fails_without_a_connection_and_works_after_it() -> None:
    MsgpackCodec()
    transport = LoopbackTransport()
    with pytest.raises(errors.NotConnectedError):
        await get_router().activate(transport)

    await transport.connect()
    await get_router().activate(transport)

    assert await asyncio.wait_for(tasks.add(1), 2) == 2
    await get_router().deactivate(0)
    await transport.disconnect()


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, True, None])
async def test_wrong_concurrency_is_refused(near_world: World, concurrency: object) -> None:
    await near_world.router.deactivate(0)

    with pytest.raises(errors.OptionError, match="concurrency="):
        await near_world.router.activate(
            transport_of(near_world),
            concurrency=concurrency,  # type: ignore[arg-type]
        )


async def test_nothing_is_left_when_everything_has_ended(near_world: World, key: str) -> None:
    calls = [
        asyncio.ensure_future(call)
        for call in (
            *[tasks.add(number) for number in range(20)],
            tasks.divide(1, 0),
            tasks.descend(5),
            tasks.hang(key),
            tasks.hang.options(timeout=0.05)(key),
            tasks.return_unfit(),
        )
    ]
    await until(lambda: tasks.journal[key].count("started") == 2)
    calls[-3].cancel()

    await asyncio.gather(*calls, return_exceptions=True)

    router = near_world.router
    await until(lambda: router.pending == 0 and router.running == 0)
    assert "0 calls awaited" in repr(router)


async def test_calls_end_when_their_connection_is_closed(key: str) -> None:
    async with connect("loopback://"):
        call = asyncio.ensure_future(tasks.hang(key))
        await until(lambda: "started" in tasks.journal[key])

    with pytest.raises(errors.ConnectionLostError, match="was closed by this process"):
        await call
    assert "cleaned up" in tasks.journal[key]
