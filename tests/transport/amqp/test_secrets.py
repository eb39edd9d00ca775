"""What nobody must read: passwords anywhere, and values of calls in any log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import struct
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiormq
import pamqp.frame
import pytest
from pamqp import commands

from atasks_ng import connect, serve
from atasks_ng.core.context import propagate
from atasks_ng.router import Router
from atasks_ng.testing.broker import PrivateBroker, free_port
from atasks_ng.transport import get_transport
from atasks_ng.transport.backends.amqp import AMQPTransport
from atasks_ng.transport.backends.amqp.settings import Names
from atasks_ng.words.errors import ConnectionLostError, EncodeError, WorkerLostError
from atasks_ng.words.ids import new_id
from tests.transport.amqp import secret_tasks as tasks
from tests.transport.amqp.secret_tasks import CANARY
from tests.transport.amqp.test_credentials import Users
from tests.transport.amqp.test_tls import make_certificate, server

ROOT = Path(__file__).parents[3]

# As it is, as a URL has it, and the parts that could be left of it.
PASSWORD, QUOTED = "hush-4711/@#x", "hush-4711%2F%40%23x"
HUSH = "hush"


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> Callable[..., str]:
    """
    Log at every level; return what was logged so far, as it would be written.

    What the client library logs of its own can be left out: at the level debug that is every frame.
    """
    caplog.set_level(logging.NOTSET)
    for name in ("aiormq", "atasks_ng", "asyncio"):
        caplog.set_level(logging.DEBUG, name)
    formatter = logging.Formatter("%(name)s %(levelname)s %(message)s %(args)s")

    def text(but: str = "nothing") -> str:
        records = [each for each in caplog.records if not each.name.startswith(but)]
        return "\n".join(map(formatter.format, records))

    return text


def shown(exc: BaseException | None) -> str:
    """Return all that a report of an exception could show."""
    if exc is None:
        return ""
    parts = [*traceback.format_exception(exc), repr(exc), repr(exc.args), repr(vars(exc))]
    return "".join(parts) + shown(exc.__context__) + shown(exc.__cause__)


@pytest.fixture
async def prefix(amqp_url: str) -> AsyncIterator[str]:
    """A prefix for names on the broker, which end with the test."""
    prefix = f"secrets-{new_id()[:12]}"
    yield prefix
    names = Names(f"{prefix}.default")
    connection = await aiormq.connect(amqp_url)
    channel = await connection.channel()
    for exchange in (names.requests, names.replies, names.control, names.dead):
        await channel.exchange_delete(exchange)
    for queue in (names.work("default"), names.work("default:nested"), names.dead):
        await channel.queue_delete(queue)
    await connection.close()


# -- passwords ---------------------------------------------------------------------------------


async def failure(url: str | list[str], **options: Any) -> str:
    """Connect, which must fail; return all that can be seen of it."""
    transport = AMQPTransport(f"secrets-{new_id()[:8]}", url, request_timeout=2.0, **options)
    with pytest.raises(ConnectionLostError) as caught:
        await transport.connect()
    seen = shown(caught.value) + repr(transport) + repr(transport.settings)
    return seen + repr(transport.settings.urls and transport.settings.shown_url)


async def test_refused_login(amqp_url: str, everything: Callable[..., str]) -> None:
    place = amqp_url.partition("@")[2]

    for fast in (True, False):
        seen = await failure(f"amqp://me:{QUOTED}@{place}", fast=fast)
        assert "refuses user 'me'" in seen
        assert HUSH not in seen + everything()


@pytest.mark.parametrize("scheme", ["amqp", "amqps"])
async def test_nobody_answers(scheme: str, everything: Callable[..., str]) -> None:
    for host in (f"127.0.0.1:{free_port()}", "broker.invalid"):
        seen = await failure(f"{scheme}://me:{QUOTED}@{host}/")

        assert "me:***@" in seen
        assert HUSH not in seen + everything()


async def test_several_brokers(amqp_url: str, everything: Callable[..., str]) -> None:
    place = amqp_url.partition("@")[2]
    urls = [f"amqp://me:{QUOTED}@127.0.0.1:{free_port()}/", f"amqp://me:{QUOTED}2@{place}"]

    for given in (urls, ",".join(urls)):
        assert HUSH not in await failure(given) + everything()


async def test_no_safe_way(amqp_url: str, tmp_path: Path, everything: Callable[..., str]) -> None:
    certificate, key = make_certificate(tmp_path, "broker")
    place = amqp_url.partition("@")[2]
    async with server(certificate, key) as port:
        seen = await failure(f"amqps://me:{QUOTED}@127.0.0.1:{port}/")
    seen += await failure(f"amqps://me:{QUOTED}@{place}")

    assert "not trusted" in seen
    assert HUSH not in seen + everything()


def told(frame: Any) -> bytes:
    return pamqp.frame.marshal(frame, 0)


START = told(commands.Connection.Start(mechanisms="PLAIN", locales="en_US"))

# What a machine that is no broker, or one that is not in order, could say.
ANSWERS = {
    "nothing": [b""],
    "an end": [],
    "another protocol": [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    "another version": [b"AMQP\x00\x00\x08\x00"],
    "another mechanism": [told(commands.Connection.Start(mechanisms="OTHER"))],
    "the login back": [START, None],
    "too early a frame": [START, told(commands.Connection.OpenOk())],
    "a refusal": [START, told(commands.Connection.Close(403, "ACCESS_REFUSED", 0, 0))],
    "half a frame": [START, struct.pack(">BHI", 1, 0, 100)],
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_odd_answers(name: str, everything: Callable[..., str]) -> None:
    heard = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            for part in ANSWERS[name]:
                heard.append(await reader.read(4096))
                writer.write(heard[-1] if part is None else part)
            if ANSWERS[name]:
                heard.append(await reader.read(4096))
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1")
    port = listening.sockets[0].getsockname()[1]

    seen = await failure(f"amqp://me:{QUOTED}@127.0.0.1:{port}/")

    listening.close()
    assert (START in ANSWERS[name]) == (PASSWORD.encode() in b"".join(heard))
    assert HUSH not in seen + everything()


async def test_links_that_come_and_go(
    private_broker: Callable[..., PrivateBroker], everything: Callable[..., str]
) -> None:
    users = Users(private_broker())
    await users.add("me", PASSWORD)
    url = users.url_of("me", QUOTED)
    other = users.url_of("me", "outdated")
    # In this order: calls go through the transport that was created last.
    async with (
        serve(url) as worker,
        connect(other, credentials=lambda: ("me", PASSWORD)) as connection,
    ):
        assert await tasks.echo(1) == 1
        await users.drop_links()
        assert await asyncio.wait_for(tasks.echo(2), 20) == 2
        await asyncio.to_thread(users.broker.restart)
        assert await asyncio.wait_for(tasks.echo(3), 20) == 3
        await users.ctl("change_password", "me", "another")
        await users.drop_links()
        while "refuses user 'me'" not in everything():  # noqa: ASYNC110  # the log has no event
            await asyncio.sleep(0.05)
        seen = repr(worker) + repr(connection)

    assert "lost the link" in everything()
    assert HUSH not in everything() + seen


async def test_credentials_that_raise(
    amqp_url: str, prefix: str, everything: Callable[..., str]
) -> None:
    place = amqp_url.partition("@")[2]
    is_sealed = asyncio.Event()

    def ask() -> tuple[str, str]:
        if is_sealed.is_set():
            raise OSError(f"https://vault/?token={PASSWORD}")
        return "guest", "guest"

    transport = AMQPTransport("default", f"amqp://{place}", credentials=ask, prefix=prefix)
    await transport.connect()
    is_sealed.set()
    assert transport._session is not None
    transport._session._fail("the test says so")
    while "credentials() raised OSError" not in everything():  # noqa: ASYNC110  # no event
        await asyncio.sleep(0.02)
    is_sealed.clear()
    while not transport.is_linked:  # noqa: ASYNC110  # no event
        await asyncio.sleep(0.02)
    await transport.disconnect()

    assert HUSH not in everything()


async def test_credentials_that_are_refused(amqp_url: str, everything: Callable[..., str]) -> None:
    async def ask() -> tuple[str, str]:
        return "me", PASSWORD

    seen = await failure(f"amqp://{amqp_url.partition('@')[2]}", credentials=ask)

    assert "refuses user 'me'" in seen
    assert HUSH not in seen + everything()


@contextlib.asynccontextmanager
async def worker_process(log: Path, *options: str, **variables: str) -> AsyncIterator[int]:
    """Run ``atasks-ng worker`` at the level debug; yield its process id."""
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "atasks_ng", "worker", tasks.__name__, "--log-level=debug"),
            *("--grace=1", *options),
            env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
            stdout=out,
            stderr=out,
        )
    try:
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.wait(), 30)


async def eventually(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(40):
        while not is_so():  # noqa: ASYNC110  # another process makes it so
            await asyncio.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads /proc")
async def test_command_lines_and_output_of_workers(tmp_path: Path) -> None:
    log = tmp_path / "log"
    url = f"amqp://me:{QUOTED}@127.0.0.1:{free_port()}/"

    async with worker_process(log, "--processes=2", f"--url={url}") as pid:
        await eventually(lambda: log.read_text().count("cannot connect to amqp://me:***@") >= 2)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        lines = [Path(f"/proc/{child}/cmdline").read_text() for child in children]

    assert len([line for line in lines if tasks.__name__ in line]) == 2
    assert HUSH not in "".join(lines) + log.read_text()


# -- values of calls ---------------------------------------------------------------------------


async def outcome(call: Awaitable[Any]) -> BaseException:
    """Await a call that fails; return what it raised, with the canary in it or not."""
    try:
        return AssertionError(await asyncio.wait_for(call, 30))
    except Exception as exc:
        return exc


@pytest.mark.parametrize("fast", [True, False])
async def test_values_are_in_no_log(
    amqp_url: str, prefix: str, fast: bool, everything: Callable[..., str]
) -> None:
    propagate(tasks.mood)
    async with serve(amqp_url, prefix=prefix, fast=fast, grace=1):
        assert await tasks.echo({CANARY: [CANARY]}) == {CANARY: [CANARY]}
        for failing in (tasks.fail, tasks.fail_oddly, tasks.fail_in_a_thread):
            assert CANARY in repr(await outcome(failing(CANARY)))
        assert CANARY in shown(await outcome(tasks.fail_in_a_group(CANARY)))
        assert type(await outcome(tasks.return_what_cannot_travel(CANARY))) is EncodeError
        assert type(await outcome(tasks.echo(tasks.Unfit(CANARY)))) is EncodeError
        await outcome(tasks.change_mood(CANARY))
        assert CANARY in repr(await outcome(_all_of(tasks.produce(CANARY))))
        await _cancel_all(amqp_url, prefix)
        await _send_garbage(amqp_url, prefix)
        await asyncio.wait_for(tasks.echo(1), 30)

    assert "refused a message" in everything()
    assert "dropped a message" in everything()
    assert CANARY not in everything(but="aiormq")


async def _all_of(produced: AsyncIterator[Any]) -> list[Any]:
    return [each async for each in produced]


async def _cancel_all(url: str, prefix: str) -> None:
    for call in (tasks.linger(CANARY), tasks.refuse_to_end(CANARY)):
        running = asyncio.ensure_future(call)
        await asyncio.sleep(0.3)
        running.cancel(CANARY)
        await asyncio.gather(running, return_exceptions=True)


async def _send_garbage(url: str, prefix: str) -> None:
    names = Names(f"{prefix}.default")
    transport = get_transport()
    assert transport is not None
    assert transport.address is not None
    connection = await aiormq.connect(url)
    channel = await connection.channel()
    for body in (CANARY.encode(), b"\x93\x01\x01" + CANARY.encode(), b"\xc1" + CANARY.encode()):
        properties = commands.Basic.Properties(correlation_id=CANARY)
        for exchange, key in ((names.requests, "default"), (names.replies, transport.address)):
            await channel.basic_publish(
                body, exchange=exchange, routing_key=key, properties=properties
            )
    await connection.close()


@pytest.mark.parametrize("fast", [0, 1])
async def test_values_are_in_no_log_of_workers_that_die(
    amqp_url: str, prefix: str, fast: int, tmp_path: Path, everything: Callable[..., str]
) -> None:
    url, log = f"{amqp_url}?prefix={prefix}&fast={fast}", tmp_path / "log"
    Router(worker_grace=600.0)
    async with worker_process(log, "--processes=1", ATASKS_NG_URL=url), connect(url):
        assert await asyncio.wait_for(tasks.echo(CANARY), 30) == CANARY
        with pytest.raises(WorkerLostError):
            await asyncio.wait_for(tasks.die(CANARY), 40)
        assert CANARY in repr(await outcome(tasks.fail(CANARY)))

    said = log.read_text()
    assert "gave up call" in said or "refused" in said
    assert CANARY not in said + everything(but="aiormq")
