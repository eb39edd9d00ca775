"""What the README guarantees, line by line."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import os
import pickle
import re
import signal
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import aiormq
import pytest

from atasks_ng import connect, serve, timeout
from atasks_ng.codecs import MsgpackCodec
from atasks_ng.router import Router
from atasks_ng.testing.broker import PrivateBroker
from atasks_ng.words.errors import DecodeError, RecursionTooDeepError
from atasks_ng.words.ids import new_id

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VARIABLE = "ATASKS_NG_GUARANTEES_NAMESPACE"

_numbers: set[int] = set()


def guarantee(number: int) -> Callable[[Any], Any]:
    """Say which line of the README a test shows."""
    _numbers.add(number)
    return lambda test: test


# -- places ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tasks() -> Iterator[ModuleType]:
    """The tasks, in a namespace that no other run knows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, f"guarantees-{new_id()[:8]}")
        patch.syspath_prepend(str(HERE))
        yield importlib.import_module("guaranteed_tasks")


class WorkerProcess:
    """A worker in a process of its own, ready once it is made."""

    def __init__(self, url: str, *options: str) -> None:
        command = [sys.executable, "-m", "atasks_ng", "worker", str(HERE / "guaranteed_tasks.py")]
        self.process = subprocess.Popen(
            [*command, *options],
            env={**os.environ, "ATASKS_NG_URL": url, "PYTHONPATH": path_for_children()},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.log = ""
        while " ready: " not in self.log:
            line = self.process.stderr.readline()
            assert line, f"the worker did not start:\n{self.log}"
            self.log += line

    def stop(self, number: int = signal.SIGTERM) -> str:
        """End it; return what it has logged."""
        self.process.send_signal(number)
        self.log += self.process.communicate(timeout=20)[1]
        return self.log


def path_for_children() -> str:
    return os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])


@pytest.fixture
def start_worker(amqp_url: str, tasks: ModuleType) -> Iterator[Callable[..., WorkerProcess]]:
    """Start workers with one slot, each in a process and for one queue; they end with the test."""
    started: list[WorkerProcess] = []

    def start(queue: str, url: str = amqp_url) -> WorkerProcess:
        started.append(WorkerProcess(url, "--concurrency", "1", "--queue", queue))
        return started[-1]

    yield start
    for worker in started:
        worker.process.kill()
        worker.process.communicate()


@pytest.fixture(scope="module")
def shared_worker(amqp_url: str, tasks: ModuleType) -> Iterator[str]:
    """One worker process with one slot, for all tests that do it no harm; its URL."""
    worker = WorkerProcess(amqp_url, "--concurrency", "1")
    yield amqp_url
    worker.stop()


@pytest.fixture(params=["loopback", pytest.param("amqp", marks=pytest.mark.amqp)])
async def place(request: pytest.FixtureRequest, tasks: ModuleType) -> AsyncIterator[None]:
    """Be connected to one worker with one slot."""
    if request.param == "loopback":
        async with serve("loopback://", namespace=tasks.NAMESPACE, concurrency=1):
            yield
    else:
        url = request.getfixturevalue("shared_worker")
        async with connect(url, namespace=tasks.NAMESPACE):
            yield


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - files of other processes make no events
            await asyncio.sleep(0.005)


def lines_of(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


# -- calls -------------------------------------------------------------------------------------


@guarantee(1)
async def test_task_looks_like_its_function(tasks: ModuleType) -> None:
    task, function = tasks.add, tasks.add.__wrapped__

    assert (task.__name__, task.__doc__) == ("add", "Return the sum.")
    assert inspect.signature(task) == inspect.signature(function)
    assert task.__annotations__ == function.__annotations__
    assert inspect.iscoroutinefunction(task)
    with pytest.raises(TypeError, match=re.escape("add() missing 1 required positional argument")):
        task(y=2)


@guarantee(2)
async def test_values_arrive_as_themselves(place: None, tasks: ModuleType) -> None:
    values = [None, 2**100, 1.5, b"b", (1, (2,)), {3}, {(1, 2): "x"}, Decimal("0.10"), Path("/etc")]

    for value in values:
        back = await tasks.echo(value)
        assert back == value
        assert type(back) is type(value)


@guarantee(2)
async def test_what_cannot_travel_is_named(place: None, tasks: ModuleType) -> None:
    with pytest.raises(TypeError, match=re.escape("args[0]['k'][1]")):
        await tasks.echo({"k": [1, object()]})
    with pytest.raises(TypeError, match=re.escape("value[0]")):
        await tasks.unsendable()


class Trap:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.file), "w")


@guarantee(3)
def test_decoding_runs_no_code(tmp_path: Path) -> None:
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    codec = MsgpackCodec(namespace="guarantees-decoding")

    with pytest.raises(DecodeError):
        codec.decode(trap)

    assert not (tmp_path / "sprung").exists()


@guarantee(4)
async def test_exception_arrives_as_itself(place: None, tasks: ModuleType) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await tasks.take_all(["apple"])

    (exc,) = caught.value.exceptions
    assert type(exc) is tasks.OutOfStock
    assert (exc.args, exc.wanted, exc.__notes__) == (("apple",), 1, ["ask again on Monday"])
    assert repr(exc.__cause__) == "KeyError('apple')"


@guarantee(4)
async def test_traceback_leads_to_the_line_that_raised(place: None, tasks: ModuleType) -> None:
    with pytest.raises(tasks.OutOfStock) as caught:
        await tasks.take("apple", 1)

    frames = traceback.extract_tb(caught.value.__traceback__)
    assert frames[0].name == "test_traceback_leads_to_the_line_that_raised"
    assert (frames[-1].name, frames[-1].line) == ("take", "raise error from exc")


@guarantee(5)
async def test_nested_calls_end_with_one_slot(place: None, tasks: ModuleType) -> None:
    assert await tasks.fibonacci(8) == 21
    assert await tasks.descend(60) == 60


@guarantee(5)
async def test_depth_has_a_limit_that_can_be_set(tasks: ModuleType) -> None:
    before = Router(tasks.NAMESPACE)
    try:
        Router(tasks.NAMESPACE, max_depth=10)
        async with serve("loopback://", namespace=tasks.NAMESPACE, concurrency=1):
            assert await tasks.descend(9) == 9
            with pytest.raises(RecursionError) as caught:
                await tasks.descend(10)
        assert isinstance(caught.value, RecursionTooDeepError)
    finally:
        Router(tasks.NAMESPACE, max_depth=before.limits.max_depth)


# -- time --------------------------------------------------------------------------------------


@guarantee(6)
async def test_cancel_reaches_the_whole_tree(
    place: None, tasks: ModuleType, tmp_path: Path
) -> None:
    file = tmp_path / "held"
    call = asyncio.create_task(tasks.hold_below(file, 3))
    await until(file.exists)

    call.cancel()
    await asyncio.wait([call])

    assert call.cancelled()
    assert not file.exists()


@guarantee(7)
async def test_deadline_travels(place: None, tasks: ModuleType) -> None:
    assert await tasks.seconds_left() is None
    async with timeout(20):
        assert 10 < await tasks.seconds_left(2) < 20


@guarantee(7)
async def test_expired_call_does_not_start(place: None, tasks: ModuleType, tmp_path: Path) -> None:
    blocker = asyncio.create_task(tasks.block(tmp_path / "blocked", 0.4))
    await until((tmp_path / "blocked").exists)

    with pytest.raises(TimeoutError):
        await tasks.touch.options(timeout=0.1)(tmp_path / "late")
    await blocker
    await tasks.touch(tmp_path / "after")

    assert (tmp_path / "after").exists()
    assert not (tmp_path / "late").exists()


@guarantee(8)
@pytest.mark.parametrize("window", [1, 4])
async def test_generator_is_no_further_ahead_than_its_window(
    place: None, tasks: ModuleType, tmp_path: Path, window: int
) -> None:
    file = tmp_path / "produced"
    stream = tasks.count.options(window=window)(file, 20)

    async with contextlib.aclosing(stream):
        async for i in stream:
            assert len(lines_of(file)) <= i + window + 1
    assert len(lines_of(file)) == 20


# -- failures, over RabbitMQ -------------------------------------------------------------------


@guarantee(9)
async def test_calls_of_a_killed_worker_are_delivered_again(
    start_worker: Callable[..., WorkerProcess], tasks: ModuleType, amqp_url: str, tmp_path: Path
) -> None:
    file, release = tmp_path / "workers", tmp_path / "release"
    workers = {each.process.pid: each for each in [start_worker("kill"), start_worker("kill")]}
    async with connect(amqp_url, namespace=tasks.NAMESPACE):
        call = asyncio.create_task(tasks.work.options(queue="kill")(file, release))
        await until(lambda: lines_of(file))
        first = int(lines_of(file)[0])

        workers[first].process.kill()
        workers[first].process.wait()
        release.touch()

        second = await call
    assert {first, second} == set(workers)
    assert lines_of(file) == [str(first), str(second)]


@guarantee(10)
async def test_calls_outlive_a_restart_of_the_broker(
    start_worker: Callable[..., WorkerProcess],
    private_broker: Callable[..., PrivateBroker],
    tasks: ModuleType,
    tmp_path: Path,
) -> None:
    file, release = tmp_path / "workers", tmp_path / "release"
    broker = private_broker()
    start_worker("default", broker.url)
    async with connect(broker.url, namespace=tasks.NAMESPACE):
        call = asyncio.create_task(tasks.work(file, release))
        await until(lambda: lines_of(file))

        await asyncio.to_thread(broker.kill)
        release.touch()
        await asyncio.to_thread(broker.start)

        async with asyncio.timeout(30):
            assert str(await call) in lines_of(file)
            assert await tasks.echo("afterwards") == "afterwards"


@guarantee(11)
async def test_stopped_worker_ends_what_runs_and_puts_the_rest_back(
    start_worker: Callable[..., WorkerProcess], tasks: ModuleType, amqp_url: str, tmp_path: Path
) -> None:
    first = start_worker("stop")
    work = tasks.work.options(queue="stop")
    async with connect(amqp_url, namespace=tasks.NAMESPACE):
        running = asyncio.create_task(work(tmp_path / "running", tmp_path / "release"))
        await until(lambda: lines_of(tmp_path / "running"))
        waiting = asyncio.create_task(work(tmp_path / "waiting", tmp_path))
        second = start_worker("stop")

        stopping = asyncio.create_task(asyncio.to_thread(first.stop))

        assert await waiting == second.process.pid
        (tmp_path / "release").touch()
        assert await running == first.process.pid
        assert "performed 1 calls, handed back" in await stopping
    assert first.process.returncode == 0


@guarantee(12)
async def test_rubbish_in_the_queue_disturbs_nothing(
    start_worker: Callable[..., WorkerProcess], tasks: ModuleType, amqp_url: str
) -> None:
    worker = start_worker("rubbish")
    connection = await aiormq.connect(amqp_url)
    channel = await connection.channel()
    exchange = f"atasks_ng.{tasks.NAMESPACE}.req"
    for body in (b"", b"rubbish", b"\x93\x01\x01\xa1x"):
        sent = await channel.basic_publish(body, exchange=exchange, routing_key="rubbish")
        assert type(sent).__name__ == "Ack"

    async with connect(amqp_url, namespace=tasks.NAMESPACE), asyncio.timeout(5):
        assert await tasks.echo.options(queue="rubbish")("still there") == "still there"

    assert worker.stop().count("refused a message") == 3
    kept = await channel.queue_declare(f"atasks_ng.{tasks.NAMESPACE}.dead", passive=True)
    assert kept.message_count == 3
    await connection.close()


def test_every_guarantee_has_a_test() -> None:
    text = (ROOT / "README.rst").read_text()
    section = text.partition("What it guarantees\n---")[2].partition("\n---")[0]
    promised = [int(number) for number in re.findall(r"^ +(\d+)\. ", section, re.MULTILINE)]

    assert promised == sorted(_numbers) == list(range(1, len(promised) + 1))
