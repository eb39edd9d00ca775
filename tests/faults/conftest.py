"""Fixtures of the faults: a namespace, a ledger and workers for each test."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import aiormq
import pytest

from atasks_ng.testing.broker import PrivateBroker
from atasks_ng.transport.backends.amqp.settings import Names
from atasks_ng.words.ids import new_id
from tests.faults.places import HERE, Ledger, Place, Workers


@pytest.fixture
def make_place(tmp_path: Path) -> Iterator[Callable[[str], Place]]:
    """Make a place for a test at a broker; its worker processes end with the test."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())

        def make(url: str) -> Place:
            ledger = Ledger(tmp_path / "ledger")
            environment = {
                "ATASKS_NG_FAULTS_NAMESPACE": f"faults-{new_id()[:12]}",
                "ATASKS_NG_FAULTS_LEDGER": str(ledger.path),
            }
            for name, value in environment.items():
                patch.setenv(name, value)
            workers = Workers(url, tmp_path, environment)
            stack.callback(workers.close)
            return Place(url, import_tasks(patch), ledger, workers, tmp_path)

        yield make


def import_tasks(patch: pytest.MonkeyPatch) -> ModuleType:
    """Import the tasks anew, under the name that worker processes give them."""
    patch.syspath_prepend(str(HERE))
    patch.delitem(sys.modules, "faulty_tasks", raising=False)
    return importlib.import_module("faulty_tasks")


@pytest.fixture
def place(amqp_url: str, make_place: Callable[[str], Place]) -> Iterator[Place]:
    """A place at the broker that all tests share, which nobody may break."""
    place = make_place(amqp_url)
    yield place
    place.workers.close()
    if "ATASKS_NG_TEST_URL" in os.environ:
        asyncio.run(_delete_all(place))


async def _delete_all(place: Place) -> None:
    """Leave the broker as it was."""
    names = Names(f"atasks_ng.{place.namespace}")
    connection = await aiormq.connect(place.url)
    channel = await connection.channel()
    for nested in (False, True):
        await channel.queue_delete(names.work(names.key("default", nested=nested)))
    await channel.queue_delete(names.dead)
    for exchange in (names.requests, names.replies, names.control, names.dead):
        await channel.exchange_delete(exchange)
    await connection.close()


@pytest.fixture(scope="module")
def node() -> Iterator[PrivateBroker]:
    """A broker for the tests of one module, which may do with it what they undo again."""
    with PrivateBroker() as broker:
        yield broker


@pytest.fixture
async def channel(place: Place) -> AsyncIterator[aiormq.abc.AbstractChannel]:
    """A channel of somebody else on the shared broker."""
    connection = await aiormq.connect(place.url)
    yield await connection.channel()
    await connection.close()
