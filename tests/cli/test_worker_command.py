"""``atasks-ng worker`` as a process: what it refuses, and how it lives and stops over AMQP."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from atasks_ng import atask, connect

if TYPE_CHECKING:
    from .conftest import Command, StartCommand

NOWHERE = "amqp://me:secret@127.0.0.1:1/"


class Jobs:
    """The tasks of the module ``jobs``, as a caller knows them."""

    def __init__(self, namespace: str, folder: Path) -> None:
        async def pid() -> int: ...
        async def mark_task(mark: str) -> str: ...

        self.pid = atask(pid, name="jobs:pid", namespace=namespace)
        self.hold = atask(mark_task, name="jobs:hold", namespace=namespace)
        self.block = atask(mark_task, name="jobs:block", namespace=namespace)
        self.hang = atask(mark_task, name="jobs:hang", namespace=namespace)
        self.mark = folder / "mark"

    async def started(self) -> None:
        """Return when the body of a task runs."""
        await self._exists(self.mark.with_suffix(".started"))

    async def _exists(self, path: Path) -> None:
        async with asyncio.timeout(30):
            while not path.exists():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.fixture
async def caller(amqp_url: str, namespace: str, tmp_path: Path, jobs: str) -> AsyncIterator[Jobs]:
    async with connect(amqp_url, namespace=namespace):
        yield Jobs(namespace, tmp_path)


async def begin(command: Command, task: object, mark: Path, jobs: Jobs) -> asyncio.Task[str]:
    """Call a task, and return when its body runs."""
    call = asyncio.create_task(task(str(mark)))  # type: ignore[operator]
    await jobs.started()
    return call


# -- refusing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["jobs", "--url", "http://x/"], "cannot use the transport URL 'http://x/'.*amqp://"),
        (["nosuch", "--url", NOWHERE], "cannot import 'nosuch': ModuleNotFoundError"),
        (["broken", "--url", NOWHERE], r"cannot import 'broken': ZeroDivisionError.*line 2\)"),
        (["nosuch", "--url", NOWHERE, "--processes", "2"], "it cannot work so"),
        (["idle", "--url", NOWHERE], "error: idle: no task is defined there"),
        (
            ["jobs", "idle", "--url", NOWHERE, "--namespace", "typo"],
            "no task is defined in namespace 'typo'.*: jobs, idle defines tasks in 'cli-[0-9a-f]+'",
        ),
        (["jobs", "--url", f"{NOWHERE}?cafile=/nosuch"], "cafile= would be ignored.*amqps://"),
        (["jobs", "--url", NOWHERE, "--health", "x"], "--health: health address 'x': give PORT"),
        (["jobs", "--url", NOWHERE, "--tracebacks", "x"], "--tracebacks:.*full.*names.*off"),
    ],
)
async def test_worker_that_cannot_work_says_why_and_exits_2(
    start: StartCommand, tmp_path: Path, jobs: str, args: list[str], says: str
) -> None:
    (tmp_path / "broken.py").write_text("x = 1\nx / 0\n")
    (tmp_path / "idle.py").touch()

    command = await start("worker", *args)

    await command.says(says)
    assert await command.ends() == 2
    assert "Traceback" not in command.output
    assert "secret" not in command.output


@pytest.mark.parametrize("options", [[], ["--processes", "2"]])
async def test_health_port_that_is_taken_is_one_line(
    start: StartCommand, jobs: str, options: list[str]
) -> None:
    with socket.create_server(("", 0)) as taken:
        # With two processes it is the second one's.
        port = taken.getsockname()[1] - bool(options)
        command = await start("worker", jobs, "--url", NOWHERE, f"--health={port}", *options)

        assert await command.ends() == 2
    (line,) = command.lines
    assert line.startswith("atasks-ng worker: error: the health endpoint cannot listen at ")
    assert "stop what listens there" in line


async def test_traceback_of_an_import_is_shown_at_debug_level(
    start: StartCommand, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")

    command = await start("worker", "broken", "--url", NOWHERE, "--log-level", "debug")

    await command.says("Traceback")
    await command.says("atasks-ng worker: error: cannot import 'broken'")


@pytest.mark.parametrize("options", [[], ["--processes", "1"]])
async def test_signal_to_a_command_that_has_stopped_changes_nothing(
    start: StartCommand, jobs: str, options: list[str]
) -> None:
    command = await start("worker", jobs, "--url", NOWHERE, *options)
    await command.says("trying again")

    command.process.send_signal(signal.SIGTERM)
    await command.says("ended with exit status 0" if options else "stopped: performed 0 calls")
    command.process.send_signal(signal.SIGTERM)

    assert await command.ends() == 0


async def test_namespace_without_tasks_among_others_is_warned_of(
    start: StartCommand, jobs: str, namespace: str
) -> None:
    names = [f"--namespace={each}" for each in (namespace, "typo")]

    command = await start("worker", jobs, "--url", NOWHERE, *names)

    await command.says("WARNING .*no task is defined in namespace 'typo', which is served")


async def test_broker_that_refuses_is_tried_until_it_permits(
    start: StartCommand, jobs: str, amqp_url: str
) -> None:
    url = urlsplit(amqp_url)
    wrong = url._replace(netloc=f"guest:wrong@{url.hostname}:{url.port}").geturl()

    command = await start("worker", jobs, "--url", wrong)

    await command.says("check the user and the password; trying again until the broker permits it")


async def test_unreachable_broker_is_tried_until_a_signal(start: StartCommand, jobs: str) -> None:
    command = await start("worker", jobs, "--url", NOWHERE)
    await command.says(r"cannot connect to amqp://me:\*\*\*@127.0.0.1:1/.*trying again")

    command.process.send_signal(signal.SIGTERM)

    assert await command.ends() == 0
    assert command.output.count("trying again") == 1


# -- performing --------------------------------------------------------------------------------


async def test_worker_performs_calls_and_stops_in_order(
    start: StartCommand, caller: Jobs, amqp_url: str, namespace: str
) -> None:
    command = await start("worker", "jobs", "--url", amqp_url, "--name", "left")
    ready = await command.says(
        r"worker left ready: 4 tasks, namespaces (\S+), queues default, (.*)"
    )
    assert ready[1] == namespace
    assert ready[2].startswith("concurrency 100, amqp://")
    assert "guest:guest" not in command.output

    assert await caller.pid() == command.process.pid

    command.process.send_signal(signal.SIGINT)
    await command.says("worker left stopped: performed 1 calls, handed back 0")
    assert await command.ends() == 0


@pytest.mark.parametrize("options", [[], ["--processes", "1"]])
@pytest.mark.parametrize("how", ["full", "names", "off"])
async def test_worker_tells_its_callers_where_a_task_failed_or_does_not(
    start: StartCommand, caller: Jobs, amqp_url: str, how: str, options: list[str]
) -> None:
    told = ["--name=left", f"--tracebacks={how}"]
    command = await start("worker", "jobs", "--url", amqp_url, *told, *options)
    await command.says(r"worker left(-1)? ready")

    with pytest.raises(FileNotFoundError) as caught:
        await caller.hold("/nosuch/folder/mark")

    frames = traceback.extract_tb(caught.value.__traceback__)
    begin = next(n for n, each in enumerate(frames) if each.filename.startswith("<worker left"))
    files = [each.filename for each in frames[begin:]]
    names = [each.name for each in frames[begin:]]
    name = "left-1" if options else "left"
    if how == "full":
        assert files[0] == f"<worker {name}>"
        assert files[1].endswith("jobs.py")
    elif how == "names":
        assert set(files) == {f"<worker {name}>"}
        assert names[:2] == ["jobs:hold", "hold"]
    else:
        assert files == [f"<worker {name}, which does not tell where>"]


async def test_file_gives_tasks_the_names_that_its_importers_see(
    start: StartCommand, caller: Jobs, amqp_url: str, tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "jobs.py").rename(tmp_path / "deep" / "jobs.py")

    command = await start("worker", "deep/jobs.py", ATASKS_NG_URL=amqp_url)
    await command.says("ready: 4 tasks")

    assert await caller.pid() == command.process.pid


async def test_running_call_ends_before_its_worker_stops(
    start: StartCommand, caller: Jobs, amqp_url: str
) -> None:
    command = await start("worker", "jobs", "--url", amqp_url)
    call = await begin(command, caller.hold, caller.mark, caller)

    command.process.send_signal(signal.SIGTERM)
    await command.says("SIGTERM: stopping")
    assert not call.done()
    caller.mark.touch()

    assert await call == "done"
    assert await command.ends() == 0
    assert "performed 1 calls, handed back 0" in command.output


async def test_call_that_outlasts_the_grace_time_runs_elsewhere(
    start: StartCommand, caller: Jobs, amqp_url: str
) -> None:
    first = await start("worker", "jobs", "--url", amqp_url, "--grace", "0.1")
    call = await begin(first, caller.hold, caller.mark, caller)

    first.process.send_signal(signal.SIGTERM)
    assert await first.ends() == 0
    assert "performed 0 calls, handed back 1" in first.output
    caller.mark.touch()
    await start("worker", "jobs", "--url", amqp_url)

    assert await call == "done"


@pytest.mark.parametrize("task", ["hold", "block"])
async def test_second_signal_leaves_at_once(
    start: StartCommand, caller: Jobs, amqp_url: str, task: str
) -> None:
    command = await start("worker", "jobs", "--url", amqp_url)
    call = await begin(command, getattr(caller, task), caller.mark, caller)

    says = "second signal .*: leaving at once"
    await command.signal_until_it_says(says, signal.SIGINT, signal.SIGTERM)

    assert await command.ends() in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    call.cancel()


@pytest.mark.parametrize("options", [[], ["--processes", "2"]])
async def test_signals_that_come_together_stop_in_order(
    start: StartCommand, caller: Jobs, amqp_url: str, options: list[str]
) -> None:
    command = await start("worker", "jobs", "--url", amqp_url, *options)
    for _ in range(2 if options else 1):
        await command.says(r"worker \S+ ready")
    call = await begin(command, caller.hold, caller.mark, caller)

    # As timeout(1) does: to its child, and then to the group. Not twice the same: they could merge.
    command.process.send_signal(signal.SIGTERM)
    command.process.send_signal(signal.SIGINT)
    await command.says("stopping")
    caller.mark.touch()

    assert await call == "done"
    assert await command.ends() == 0
    assert "leaving" not in command.output


async def test_thread_that_never_ends_keeps_no_worker(
    start: StartCommand, caller: Jobs, amqp_url: str
) -> None:
    command = await start("worker", "jobs", "--url", amqp_url, "--grace", "0")
    call = await begin(command, caller.hang, caller.mark, caller)

    command.process.send_signal(signal.SIGTERM)

    await command.says("handed back 1")
    assert await command.ends() == 0
    call.cancel()


class Gate:
    """A port of this machine that leads to the broker, once it is opened."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._broker = (parts.hostname, parts.port or 5672)
        # Bound and not listening: refused, and nobody else's.
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        self.url = parts._replace(netloc=f"guest:guest@127.0.0.1:{port}").geturl()
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._lead, sock=self._socket)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._broker)
        await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
        sink.close()

    def close(self) -> None:
        if self._server is None:
            self._socket.close()
        else:
            self._server.close()


async def test_worker_starts_before_its_broker(
    start: StartCommand, caller: Jobs, amqp_url: str
) -> None:
    gate = Gate(amqp_url)
    command = await start("worker", "jobs", "--url", gate.url)
    await command.says("cannot connect to .*; trying again")

    await gate.open()

    await command.says("connected to")
    await command.says("ready")
    assert await caller.pid() == command.process.pid
    command.process.send_signal(signal.SIGTERM)
    assert await command.ends() == 0
    gate.close()


# -- several processes -------------------------------------------------------------------------


async def two_ready(command: Command) -> dict[str, int]:
    """Wait for two worker processes; return their process ids by number."""
    pids: dict[str, int] = {}
    while len(pids) < 2:
        ready = await command.says(r"worker process (\d) \(pid (\d+)\) ready")
        pids[ready[1]] = int(ready[2])
    return pids


async def test_killed_worker_process_is_started_again(
    start: StartCommand, caller: Jobs, amqp_url: str
) -> None:
    command = await start("worker", "jobs", "--url", amqp_url, "--processes", "2", "--name", "w")
    pids = await two_ready(command)
    assert "worker w-1 ready" in command.output
    assert "worker w-2 ready" in command.output

    os.kill(pids["1"], signal.SIGKILL)
    died = await command.says(r"worker process 1 \(pid (\d+)\) died with signal 9 .*restarting in")
    assert int(died[1]) == pids["1"]
    assert await caller.pid() != pids["1"]
    again = await command.says(r"worker process 1 \(pid (\d+)\) ready")

    answers: set[int] = set()
    async with asyncio.timeout(30):
        while answers != {pids["2"], int(again[1])}:
            answers.add(await caller.pid())
    command.process.send_signal(signal.SIGTERM)
    assert await command.ends() == 0


async def test_signal_to_the_supervisor_stops_all_in_order(
    start: StartCommand, caller: Jobs, amqp_url: str
) -> None:
    command = await start("worker", "jobs", "--url", amqp_url, "--processes", "2")
    await two_ready(command)
    call = await begin(command, caller.hold, caller.mark, caller)

    command.process.send_signal(signal.SIGINT)
    await command.says("SIGINT: stopping the worker processes")
    caller.mark.touch()

    assert await call == "done"
    assert await command.ends() == 0
    assert command.output.count("ended with exit status 0") == 2


async def test_second_signal_to_the_supervisor_leaves_at_once(
    start: StartCommand, caller: Jobs, amqp_url: str
) -> None:
    command = await start("worker", "jobs", "--url", amqp_url, "--processes", "2")
    await two_ready(command)
    call = await begin(command, caller.hold, caller.mark, caller)

    await command.signal_until_it_says("SIGTERM again: leaving now", signal.SIGTERM)

    assert await command.ends() == 128 + signal.SIGTERM
    call.cancel()


async def test_worker_processes_end_in_order_when_the_supervisor_is_gone(
    start: StartCommand, caller: Jobs, amqp_url: str
) -> None:
    command = await start("worker", "jobs", "--url", amqp_url, "--processes", "2")
    await two_ready(command)
    call = await begin(command, caller.hold, caller.mark, caller)

    command.process.kill()
    await command.says("the supervisor is gone: stopping")
    caller.mark.touch()

    assert await call == "done"
    assert await command.ends() == -signal.SIGKILL
    assert command.output.count("stopped: performed") == 2
