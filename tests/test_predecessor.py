"""
Programs written for the predecessor, with nothing changed but the name of the package.

What they use is what its README shows: parts that install themselves when they are created, a
transport that is connected by hand, a router that is activated, and ``aiomain``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import atasks_ng
from atasks_ng.codecs import Codec, PickleCodec, get_codec
from atasks_ng.router import Router, get_router
from atasks_ng.tasks import atask
from atasks_ng.transport.backends.amqp import AMQPTransport
from atasks_ng.transport.base import (
    ConnectionLostError,
    LoopbackTransport,
    RequestTimeoutError,
    Transport,
    get_transport,
)
from tests.contract.worlds import Broker, open_broker

logger = logging.getLogger(__name__)


# -- tasks, as its README writes them ----------------------------------------------------------


@atask
async def some_task(a: int) -> int:
    return await some_other_task(a) + 1


@atask(name="some_other_name")
async def some_other_task(a: int) -> int:
    return a * 10


@atask(timeout=0.1)
async def slow_task() -> None:
    await asyncio.sleep(60)


@atask
async def crashing_task() -> None:
    raise KeyError("crashed")


@atask(namespace="one")
async def task_of_one(a: int) -> list[Any]:
    return ["one", await task_of_other(a)]


@atask(namespace="other")
async def task_of_other(a: int) -> list[Any]:
    return ["other", a]


# -- parts that users write --------------------------------------------------------------------


class MyCodec(Codec):
    """All methods are asynchronous."""

    async def encode(self, obj: Any) -> bytes:
        await asyncio.sleep(0)
        return json.dumps(obj).encode()

    async def decode(self, content: bytes) -> Any:
        await asyncio.sleep(0)
        return json.loads(content)


class MyTransport(Transport):
    """Replaces all methods that raise NotImplementedError, with the old signature."""

    async def connect(self) -> None:
        logger.info("connected")

    async def disconnect(self) -> None:
        logger.info("disconnected")

    async def send_request(self, name: str, content: bytes, timeout: float | None = None) -> bytes:
        assert self.callback is not None
        return await self.callback(name, content)


# -- programs ----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a program needs that pickles between processes; it stays as it is."""
    monkeypatch.setenv("ATASKS_NG_KEY", "a key that all of its processes find")


@pytest.fixture(scope="module")
def broker(amqp_url: str) -> Iterator[Broker]:
    with open_broker(amqp_url) as broker:
        yield broker


@pytest.fixture(
    params=["loopback", "own", pytest.param("amqp", marks=pytest.mark.amqp)],
)
async def transport(request: pytest.FixtureRequest) -> Any:
    if request.param == "loopback":
        made: Transport = LoopbackTransport()
    elif request.param == "own":
        made = MyTransport()
    else:
        broker = request.getfixturevalue("broker")
        made = AMQPTransport(url=broker.url, prefix=broker.new_prefix())
    yield made
    await made.disconnect()


async def start(transport: Transport) -> None:
    """Do what its README calls initialization, for a process that is client and server."""
    if get_codec() is None:
        PickleCodec()
    await transport.connect()
    router = get_router()
    await router.activate(transport)


async def test_program_awaits_tasks(transport: Transport) -> None:
    await start(transport)

    results = await asyncio.gather(some_task(1), some_other_task(2))

    assert results == [11, 20]
    await get_router().deactivate()


async def test_exception_of_a_task_reaches_its_caller(transport: Transport) -> None:
    await start(transport)

    with pytest.raises(KeyError, match="crashed"):
        await crashing_task()


async def test_timeout_raises_the_error_it_always_did(transport: Transport) -> None:
    await start(transport)

    with pytest.raises(RequestTimeoutError) as caught:
        await slow_task()

    assert isinstance(caught.value, TimeoutError)


async def test_codec_of_a_user_carries_calls(transport: Transport) -> None:
    MyCodec()
    await start(transport)

    assert await some_task(1) == 11
    assert isinstance(get_codec(), MyCodec)


async def test_parts_install_themselves(transport: Transport) -> None:
    codec = PickleCodec()
    router = Router()

    assert get_transport() is transport
    assert get_codec() is codec
    assert get_router() is router
    assert get_transport("another") is None


async def test_options_of_pickle_are_those_of_pickle() -> None:
    codec = PickleCodec("default", 2, True, "latin-1", "strict")

    assert (codec.protocol, codec.fix_imports) == (2, True)
    assert (codec.encoding, codec.errors) == ("latin-1", "strict")


def test_lost_connection_is_a_connection_error() -> None:
    assert issubclass(ConnectionLostError, ConnectionError)


async def open_two(kind: str, request: pytest.FixtureRequest) -> list[Transport]:
    """Initialize two namespaces, each with parts of its own."""
    opened: list[Transport] = []
    for namespace in ("one", "other"):
        PickleCodec(namespace=namespace)
        if kind == "amqp":
            broker = request.getfixturevalue("broker")
            prefix = broker.new_prefix(namespace)
            opened.append(AMQPTransport(namespace=namespace, url=broker.url, prefix=prefix))
        else:
            opened.append(LoopbackTransport(namespace=namespace))
        await opened[-1].connect()
        await get_router(namespace).activate(opened[-1])
    return opened


@pytest.mark.parametrize("kind", ["loopback", pytest.param("amqp", marks=pytest.mark.amqp)])
async def test_task_of_one_namespace_awaits_that_of_another(
    kind: str, request: pytest.FixtureRequest
) -> None:
    opened = await open_two(kind, request)

    assert await task_of_one(7) == ["one", ["other", 7]]

    for transport in opened:
        await transport.disconnect()


PROGRAM = """
import asyncio

from atasks_ng.codecs import PickleCodec
from atasks_ng.router import get_router
from atasks_ng.tasks import atask
from atasks_ng.transport.backends.amqp import AMQPTransport
from atasks_ng.transport.base import LoopbackTransport, get_transport


@atask
async def fib(n):
    if n < 2:
        return n
    a, b = await asyncio.gather(fib(n - 1), fib(n - 2))
    return a + b


async def aiomain(**options):
    print(options['mode'], options['transport'], options['opt'])
    print(await fib(10))


async def initialized(**options):
    PickleCodec()
    if options['transport'] == 'loopback':
        transport = LoopbackTransport()
    elif options['transport'] == 'amqp':
        transport = AMQPTransport(url=options['url'], prefix=options['prefix'])
    await transport.connect()
    router = get_router()
    await router.activate(transport)
    await aiomain(**options)
    await transport.disconnect()


if __name__ == '__main__':
    import json
    import sys

    asyncio.run(initialized(**json.loads(sys.argv[1])))
"""


def run_program(tmp_path: Path, *arguments: str) -> str:
    """Run a Python process in the folder of the program; return what it prints."""
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(atasks_ng.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_program_runs_by_itself_on_loopback(tmp_path: Path) -> None:
    options = {"mode": "loopback", "transport": "loopback", "opt": ["x"]}

    printed = run_program(tmp_path, "program.py", json.dumps(options))

    assert printed == "loopback loopback ['x']\n55\n"


def test_program_runs_by_itself_on_amqp(tmp_path: Path, broker: Broker) -> None:
    options = {
        "mode": "loopback",
        "transport": "amqp",
        "opt": ["x"],
        "url": broker.url,
        "prefix": broker.new_prefix(),
    }

    printed = run_program(tmp_path, "program.py", json.dumps(options))

    assert printed == "loopback amqp ['x']\n55\n"


def test_command_runs_the_program(tmp_path: Path) -> None:
    command = ["-m", "atasks_ng", "run", "program.py", "-M", "loopback", "-T", "loopback"]

    printed = run_program(tmp_path, *command, "-o", "x")

    assert printed == "loopback loopback ['x']\n55\n"
