"""What the tests of a worker share: bodies that wait for a word, and a caller beside the worker."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable

import pytest

from atasks_ng import atask, connect
from atasks_ng.places.namespaces import namespaces
from atasks_ng.transport import get_transport

_numbers = itertools.count(1)


@pytest.fixture
def namespace() -> str:
    """A namespace of this test's own."""
    return f"worker-test-{next(_numbers)}"


class Caller:
    """
    A caller with a connection of its own, as if it were another process.

    In one process the newest connection of a namespace carries its calls: that of a worker, whose
    end would end the calls that it is to hand back. ``stays()`` lets them go the old way.
    """

    def __init__(self, namespace: str) -> None:
        self._transport = get_transport(namespace)
        self._namespace = namespace

    def stays(self) -> None:
        """Let calls go by the caller's connection again."""
        namespaces.register(self._namespace, transport=self._transport)


@pytest.fixture
async def caller(namespace: str) -> AsyncIterator[Caller]:
    async with connect("loopback://", namespace=namespace):
        yield Caller(namespace)


class Body:
    """A task whose bodies wait for a word, and what they did until then."""

    def __init__(self, namespace: str) -> None:
        self.running = self.most = self.started = self.cancelled = 0
        self.namespace = namespace
        self.go = asyncio.Event()
        self._changed = asyncio.Condition()
        self.call = atask(self._run, name="body", namespace=namespace)

    async def _run(self, value: int) -> int:
        self.started += 1
        self.running += 1
        self.most = max(self.most, self.running)
        await self._tell()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        return value * value

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until_started(self, count: int) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: self.started >= count)

    @staticmethod
    async def until(condition: Callable[[], bool]) -> None:
        """Return when a condition holds that nobody announces."""
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0)


@pytest.fixture
def make_body() -> type[Body]:
    """Make a task in a namespace that a test names itself."""
    return Body


@pytest.fixture
def body(namespace: str) -> Body:
    return Body(namespace)
