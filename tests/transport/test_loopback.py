"""What the transport within one loop does beyond the contract that all transports share."""

from __future__ import annotations

import asyncio

from atasks_ng import atask, connect, current_call, serve


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
