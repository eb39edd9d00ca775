"""Async generators whose items, or whose end, are lost on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from atasks_ng import connect, errors
from atasks_ng.protocol.calls import CallerTimes
from atasks_ng.router import get_router
from atasks_ng.testing.broker import PrivateBroker
from tests.faults.places import HANGS_AFTER, Place, link, shown

pytestmark = pytest.mark.amqp


@pytest.fixture
def node(private_broker: Callable[..., PrivateBroker]) -> PrivateBroker:
    """A broker of this test alone."""
    return private_broker()


@pytest.fixture
def place(node: PrivateBroker, make_place: Callable[[str], Place]) -> Place:
    return make_place(node.url)


@pytest.fixture
def ahead(place: Place) -> Path:
    """A gate that is open."""
    gate = place.folder / "ahead"
    gate.touch()
    return gate


async def test_items_lost_with_the_link_of_their_worker_come_again(
    place: Place, ahead: Path
) -> None:
    with link(place.url) as (proxy, url):
        await place.workers.start(url=url).ready()
        async with connect(place.url, namespace=place.namespace):
            reading = asyncio.ensure_future(all_items(place, place.gate, ahead))
            await place.ledger.reaches(1)

            proxy.refuse()
            proxy.cut()
            place.gate.touch()
            await asyncio.sleep(1)  # the first item is said to nobody
            proxy.refuse(False)

            assert await asyncio.wait_for(reading, HANGS_AFTER) == [0, 1, 2]
    assert (place.ledger.count(), place.ledger.count("end")) == (1, 1)


async def test_end_that_is_lost_with_the_broker_comes_again(
    node: PrivateBroker, place: Place, ahead: Path
) -> None:
    await place.workers.start().ready()
    async with connect(place.url, namespace=place.namespace):
        numbers = place.tasks.count("g", ahead, place.gate)
        assert [await anext(numbers) for _ in range(3)] == [0, 1, 2]
        end = asyncio.ensure_future(anext(numbers, "the end"))
        await asyncio.sleep(0.2)

        await asyncio.to_thread(node.kill)
        place.gate.touch()
        await place.ledger.reaches(1, "end")
        await asyncio.to_thread(node.start)

        assert await asyncio.wait_for(end, HANGS_AFTER) == "the end"
    assert place.ledger.count() == 1


async def test_generator_whose_worker_dies_with_the_broker_is_lost(
    node: PrivateBroker, place: Place, ahead: Path
) -> None:
    victim = await place.workers.start().ready()
    async with connect(place.url, namespace=place.namespace):
        # Two beats of a worker, 30 s, otherwise.
        get_router(place.namespace).times = CallerTimes(overdue=6.0)
        numbers = place.tasks.count("g", ahead, place.gate)
        assert [await anext(numbers) for _ in range(2)] == [0, 1]
        await place.workers.start().ready()

        await asyncio.to_thread(node.kill)
        victim.kill()
        await asyncio.to_thread(node.start)
        listening = time.monotonic()

        with pytest.raises(errors.WorkerLostError):
            await asyncio.wait_for(all_of_the_rest(numbers), HANGS_AFTER)
        shown("a generator is lost after", time.monotonic() - listening)
    assert place.ledger.count() == 1


async def all_items(place: Place, first: Path, last: Path) -> list[int]:
    return [number async for number in place.tasks.count("g", first, last)]


async def all_of_the_rest(numbers: object) -> list[int]:
    return [number async for number in numbers]  # type: ignore[attr-defined]
