"""
The places that the contract is checked in: a transport, a codec, a caller and a worker.

=========  =================================================================================
transport  is
=========  =================================================================================
loopback   the one within one event loop
own        one that a user wrote: connect, disconnect and send_request, nothing else
amqp       RabbitMQ, with caller and worker in this process
remote     RabbitMQ, with the worker in a process of its own
=========  =================================================================================
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import pickle
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiormq
import pytest

from atasks_ng import connect, serve
from atasks_ng.codecs import (
    CloudpickleCodec,
    Codec,
    EncryptedCodec,
    JsonCodec,
    MsgpackCodec,
    PickleCodec,
    SignedCodec,
)
from atasks_ng.router import Router, get_router
from atasks_ng.transport.backends.amqp.settings import Names
from atasks_ng.transport.base import Transport

ROOT = Path(__file__).parents[2]


class AsyncCodec(Codec):
    """A codec of a user, with methods that wait."""

    async def encode(self, obj: Any) -> bytes:
        await asyncio.sleep(0)
        return b"async " + pickle.dumps(obj)

    async def decode(self, content: bytes) -> Any:
        await asyncio.sleep(0)
        if not content.startswith(b"async "):
            raise ValueError("not one of ours")
        return pickle.loads(content[6:])


class OwnTransport(Transport):
    """The least that a user must write."""

    async def connect(self) -> None:
        self.is_connected = True

    async def disconnect(self) -> None:
        self.is_connected = False

    async def send_request(self, name: str, content: bytes) -> bytes:
        assert self.callback is not None, "nobody performs"
        return await self.callback(name, content)


# What callers and workers share.
KEY = "the key of the contract"

CODECS: dict[str, Callable[[], Codec]] = {
    "msgpack": MsgpackCodec,
    "pickle": lambda: PickleCodec(key=KEY),
    "cloudpickle": lambda: CloudpickleCodec(key=KEY),
    "json": JsonCodec,
    "async": AsyncCodec,
    "encrypted": lambda: EncryptedCodec(MsgpackCodec(), KEY),
    "signed": lambda: SignedCodec(MsgpackCodec(), KEY),
}


@dataclasses.dataclass(frozen=True)
class Place:
    """A pair that tests are run on."""

    transport: str
    codec: str = "msgpack"

    def param(self) -> Any:
        """Return it as pytest takes it."""
        marks = [pytest.mark.amqp] if self.transport in ("amqp", "remote") else []
        return pytest.param(self, id=f"{self.transport}-{self.codec}", marks=marks)


TRANSPORTS = [Place(name) for name in ("loopback", "own", "amqp", "remote")]
PAIRS = [
    *[Place(name, codec) for name in ("loopback", "amqp") for codec in CODECS],
    *[
        Place(name, codec)
        for name in ("own", "remote")
        for codec in ("msgpack", "pickle", "signed")
    ],
]


def params(places: list[Place], *, but: str = "") -> list[Any]:
    """Return places for a fixture, without those whose transport or codec is named."""
    left_out = but.split()
    return [
        place.param()
        for place in places
        if place.transport not in left_out and place.codec not in left_out
    ]


@dataclasses.dataclass
class World:
    """A place where calls can be made now."""

    place: Place
    url: str
    options: dict[str, Any]

    @property
    def router(self) -> Router:
        return get_router()

    @property
    def is_exact(self) -> bool:
        """True if tuples, bytes and the like arrive as themselves."""
        return self.place.codec != "json"

    @property
    def runs_here(self) -> bool:
        """True if bodies run in this process."""
        return self.place.transport != "remote"


@contextlib.asynccontextmanager
async def open_world(
    place: Place, concurrency: int, broker: Callable[[], Broker], **router_options: Any
) -> AsyncIterator[World]:
    """Open a place; on the way out, nothing of a call may be left behind."""
    CODECS[place.codec]()
    router = Router(**router_options)
    async with contextlib.AsyncExitStack() as stack:
        if place.transport == "own":
            transport = OwnTransport()
            await transport.connect()
            stack.push_async_callback(transport.disconnect)
            await router.activate(transport, concurrency=concurrency)
            stack.push_async_callback(router.deactivate, 0)
            world = World(place, "", {})
        elif place.transport == "loopback":
            world = World(place, "loopback://", {})
            await stack.enter_async_context(serve(world.url, concurrency=concurrency, grace=1))
        elif place.transport == "amqp":
            world = World(place, broker().url, {"prefix": broker().prefix("here")})
            await stack.enter_async_context(
                serve(world.url, concurrency=concurrency, grace=1, **world.options)
            )
        else:
            world = World(
                place, broker().url, {"prefix": broker().worker(place.codec, concurrency)}
            )
            await stack.enter_async_context(connect(world.url, **world.options))
        yield world
        await until(lambda: router.pending == 0 and router.running == 0)


async def until(
    holds: Callable[[], bool | Awaitable[bool]], timeout: float = 10.0, what: str = ""
) -> None:
    """Return when a condition holds; fail when it does not in time."""
    end = time.monotonic() + timeout
    while True:
        found = holds()
        if not isinstance(found, bool):
            found = await found
        if found:
            return
        assert time.monotonic() < end, what or f"not within {timeout:g} s"
        await asyncio.sleep(0.005)


class Broker:
    """
    A RabbitMQ as the tests of one session use it: with names and worker processes of their own.

    Args:
        url: Where it is.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._unique = uuid.uuid4().hex[:12]
        #: Pairs of prefix and namespace.
        self._used: set[tuple[str, str]] = set()
        self._workers: dict[str, subprocess.Popen[str]] = {}

    def prefix(self, name: str, *namespaces: str) -> str:
        """Return a prefix for names on the broker that no other session uses."""
        found = f"test-{self._unique}-{name}"
        self._used.update((found, namespace) for namespace in namespaces or ("default",))
        return found

    def new_prefix(self, *namespaces: str) -> str:
        """Return a prefix that no other test uses."""
        return self.prefix(uuid.uuid4().hex[:12], *namespaces)

    def worker(self, codec: str, concurrency: int) -> str:
        """Return the prefix that a worker process serves; start it if it does not run."""
        prefix = self.prefix(f"{codec}-{concurrency}")
        if prefix not in self._workers:
            self._workers[prefix] = start_worker(self.url, prefix, codec, concurrency)
        return prefix

    def close(self) -> None:
        """End the workers; delete everything that has one of the prefixes."""
        for process in self._workers.values():
            assert process.stdin is not None
            process.stdin.close()
        for process in self._workers.values():
            process.wait(20)
            assert process.stdout is not None
            process.stdout.close()
        asyncio.run(self._delete_all())

    async def _delete_all(self) -> None:
        connection = await aiormq.connect(self.url)
        try:
            channel = await connection.channel()
            for prefix, namespace in self._used:
                names = Names(f"{prefix}.{namespace}")
                keys = [names.key("default", nested=nested) for nested in (False, True)]
                for queue in (*map(names.work, keys), names.dead):
                    await channel.queue_delete(queue)
                for exchange in (names.requests, names.replies, names.control, names.dead):
                    await channel.exchange_delete(exchange)
        finally:
            await connection.close()


@contextlib.contextmanager
def open_broker(url: str) -> Iterator[Broker]:
    """Use a broker for a session of tests, and leave it as it was."""
    broker = Broker(url)
    try:
        yield broker
    finally:
        broker.close()


def start_worker(url: str, prefix: str, codec: str, concurrency: int) -> subprocess.Popen[str]:
    """Start a worker process; return when it performs. It ends when its input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.contract.worker", url, prefix, codec, str(concurrency)],
        cwd=ROOT,
        # The package that is tested here, wherever it is imported from.
        env={**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process
