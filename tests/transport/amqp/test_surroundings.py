"""Forks, second event loops, and the end of the interpreter: over a broker."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from atasks_ng import atask, connect, serve
from atasks_ng.codecs import MsgpackCodec
from atasks_ng.transport.backends.amqp import AMQPTransport
from atasks_ng.transport.backends.amqp.session import Session
from atasks_ng.words.errors import ForkedError, NotConnectedError, WrongLoopError

ROOT = Path(__file__).parents[3]

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
pytestmark = [
    pytest.mark.amqp,
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@atask
async def double(x: int) -> int:
    return 2 * x


@pytest.fixture
async def url(amqp_url: str) -> AsyncIterator[str]:
    """The URL of a place that is connected, and performs, in this process."""
    own = f"{amqp_url}?prefix=t{uuid.uuid4().hex}"
    # What a program left running that is gone need not end in good order.
    async with serve(own, grace=0):
        yield own


def in_child(main: Coroutine[Any, Any, str]) -> str:
    """Run a coroutine in a process that was forked from this one; return what it returns."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(writing, asyncio.run(main).encode())
        except BaseException as exc:
            os.write(writing, f"failed: {exc!r}".encode())
        # As multiprocessing does: whoever awaits this coroutine is in the other process.
        os._exit(0)
    main.close()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    os.waitpid(pid, 0)
    return told


async def kinds_of_failure() -> str:
    """Use the parent's connection in every way; return the names of the errors."""
    found = []
    begun = time.monotonic()
    transport = double_transport()
    for use in (lambda: double(1), lambda: transport.consume("default", 1)):
        try:
            await use()
        except NotConnectedError as exc:
            found.append(type(exc).__name__)
    await transport.stop_consuming()
    await transport.flush()
    await transport.disconnect()
    found.append(str(transport.is_linked))
    found.append("late" if time.monotonic() - begun > 1 else "at once")
    return " ".join(found)


def double_transport() -> AMQPTransport:
    from atasks_ng.transport import get_transport

    transport = get_transport()
    assert isinstance(transport, AMQPTransport)
    return transport


@forks
async def test_connection_of_the_parent_raises_in_a_child_and_goes_on_in_the_parent(
    url: str,
) -> None:
    session = double_transport()._session
    assert await double(1) == 2

    told = in_child(kinds_of_failure())

    assert told == "ForkedError ForkedError False at once"
    assert await asyncio.gather(*map(double, range(50))) == [2 * x for x in range(50)]
    await asyncio.sleep(0.3)
    assert await asyncio.wait_for(double(7), 5) == 14
    assert double_transport()._session is session, "the link was not made anew"


async def connect_again(url: str) -> str:
    """Connect in the child; return what a call to the worker in the parent gives."""
    address = double_transport().address
    async with connect(url):
        assert double_transport().address != address
        return str(await asyncio.wait_for(double(21), 10))


@forks
async def test_child_that_connects_itself_can_call(url: str) -> None:
    told = await asyncio.to_thread(in_child, connect_again(url))

    assert told == "42"
    assert await asyncio.wait_for(double(1), 5) == 2


async def reconnect() -> str:
    """Connect the parent's own transport anew."""
    transport = double_transport()
    address = transport.address
    await transport.connect()
    assert transport.address != address
    MsgpackCodec()
    told = await asyncio.wait_for(transport_call(), 10)
    await transport.disconnect()
    return told


async def transport_call() -> str:
    return str(await double(4))


@forks
async def test_transport_can_be_connected_in_the_child(amqp_url: str) -> None:
    own = f"{amqp_url}?prefix=t{uuid.uuid4().hex}"
    MsgpackCodec()
    async with serve(own), connect(own):
        told = await asyncio.to_thread(in_child, reconnect())

        assert told == "8"
        assert await asyncio.wait_for(double(1), 5) == 2


@forks
def test_processes_that_multiprocessing_forks_are_told(amqp_url: str) -> None:
    async def main() -> int | None:
        async with serve(f"{amqp_url}?prefix=t{uuid.uuid4().hex}"):
            process = multiprocessing.get_context("fork").Process(target=_expect_forked)
            process.start()
            await asyncio.to_thread(process.join, 20)
            assert await asyncio.wait_for(double(2), 5) == 4
            return process.exitcode

    assert asyncio.run(main()) == 7


def _expect_forked() -> None:
    try:
        asyncio.run(transport_call())
    except ForkedError:
        sys.exit(7)


FORKING = """
import asyncio, os, sys
from atasks_ng import atask, serve

@atask
async def double(x: int) -> int:
    return 2 * x

loop = asyncio.new_event_loop()
worker = serve(sys.argv[1])
loop.run_until_complete(worker.open())
print(loop.run_until_complete(double(1)), flush=True)
pid = os.fork()
if not pid:
    try:
        {use}
    except Exception as exc:
        print(type(exc).__name__, flush=True)
    sys.exit(0)
os.waitpid(pid, 0)
for x in range(20):
    loop.run_until_complete(asyncio.wait_for(double(x), 5))
print("goes on", flush=True)
loop.run_until_complete(worker.__aexit__(None, None, None))
"""


@forks
@pytest.mark.parametrize("use", ["asyncio.run(double(1))", "loop.run_until_complete(double(1))"])
def test_child_that_exits_does_not_disturb_its_parent(
    amqp_url: str, tmp_path: Path, use: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(FORKING.replace("{use}", use))

    done = subprocess.run(
        [sys.executable, program, f"{amqp_url}?prefix=t{uuid.uuid4().hex}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=True,
    )

    assert done.stdout.split("\n") == ["2", "ForkedError", "goes on", ""]
    assert "lost the link" not in done.stderr


async def test_link_is_made_anew_whatever_closing_the_lost_one_raises(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await double(1) == 2
    transport = double_transport()
    lost = transport._session
    assert lost is not None
    close = Session.close

    async def fail(self: Session, *, forget_inbox: bool = False) -> None:
        await close(self, forget_inbox=forget_inbox)
        if self is lost:
            raise AttributeError("as asyncio's own transport does")

    monkeypatch.setattr(Session, "close", fail)

    lost._fail("the test says so")

    assert await asyncio.wait_for(double(2), 20) == 4
    assert transport._session is not lost


async def test_second_event_loop_raises_while_the_first_one_runs(url: str) -> None:
    assert await double(1) == 2

    def elsewhere() -> float:
        begun = time.monotonic()
        with pytest.raises(WrongLoopError, match="run_coroutine_threadsafe"):
            asyncio.run(transport_call())
        return time.monotonic() - begun

    assert await asyncio.to_thread(elsewhere) < 1
    assert await double(2) == 4


async def test_call_can_be_made_from_another_thread_in_the_loop_of_the_connection(
    url: str,
) -> None:
    loop = asyncio.get_running_loop()
    future = await asyncio.to_thread(
        lambda: asyncio.run_coroutine_threadsafe(transport_call(), loop)
    )

    assert await asyncio.wrap_future(future) == "8"


def test_second_event_loop_raises_though_the_first_one_never_called(amqp_url: str) -> None:
    MsgpackCodec()
    transport = AMQPTransport(url=f"{amqp_url}?prefix=t{uuid.uuid4().hex}")
    ready, over = threading.Event(), threading.Event()

    async def hold() -> None:
        await transport.connect()
        ready.set()
        await asyncio.to_thread(over.wait)
        await transport.disconnect()

    thread = threading.Thread(target=asyncio.run, args=(hold(),))
    thread.start()
    try:
        assert ready.wait(10)
        with pytest.raises(WrongLoopError):
            asyncio.run(transport_call())
        with pytest.raises(WrongLoopError):
            asyncio.run(transport.connect())
    finally:
        over.set()
        thread.join()


# What aiormq had begun when its loop ended.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_transport_can_be_connected_again_after_its_loop_has_ended(amqp_url: str) -> None:
    MsgpackCodec()
    own = f"{amqp_url}?prefix=t{uuid.uuid4().hex}"
    transport = AMQPTransport(url=own)
    asyncio.run(transport.connect())
    assert not transport.is_linked

    with pytest.raises(WrongLoopError):
        asyncio.run(transport_call())

    async def again() -> str:
        async with serve(own):
            await transport.connect()
            told = await asyncio.wait_for(transport_call(), 10)
            await transport.disconnect()
            return told

    assert asyncio.run(again()) == "8"
    gc.collect()  # while its warnings are expected


# -- the end -----------------------------------------------------------------------------------

PROGRAM = """
import asyncio, os, sys, time
from atasks_ng import atask, connect
from atasks_ng.codecs import MsgpackCodec
from atasks_ng.transport.backends.amqp import AMQPTransport

@atask(name="surroundings:stubborn")
async def stubborn() -> None: ...

async def call():
    try:
        await stubborn()
    except BaseException as exc:
        print("ended", type(exc).__name__, flush=True)
        raise

async def main():
    MsgpackCodec()
    transport = AMQPTransport(url=sys.argv[1])
    await transport.connect()
    calls = [asyncio.create_task(call()) for _ in range(5)]
    await asyncio.sleep(0.3)
    print("ready", flush=True)
    {end}

asyncio.run(main())
"""


@atask(name="surroundings:stubborn")
async def stubborn() -> None:
    """Need long to clean up."""
    try:
        await asyncio.sleep(600)
    finally:
        await asyncio.sleep(5)


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("return", 0),
        ("sys.exit(3)", 3),
        ("raise RuntimeError('over')", 1),
        ("await asyncio.sleep(600)", -signal.SIGINT),
    ],
)
async def test_interpreter_ends_in_time_with_calls_pending(
    url: str, tmp_path: Path, end: str, status: int
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("{end}", end))
    process = subprocess.Popen(  # noqa: ASYNC220  # it does not take long
        [sys.executable, "-X", "dev", program, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
    if status < 0:
        process.send_signal(-status)

    begun = time.monotonic()
    out, err = await asyncio.to_thread(process.communicate, timeout=60)

    assert time.monotonic() - begun < 2
    assert process.returncode == status, err
    assert out.splitlines() == ["ended CancelledError"] * 5
    assert "never retrieved" not in err
    assert "unhandled" not in err
