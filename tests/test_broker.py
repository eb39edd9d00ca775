"""The private RabbitMQ node: it serves, it comes back, and it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiormq
import pytest

from atasks_ng.testing.broker import PrivateBroker, free_port

if TYPE_CHECKING:
    from aiormq.abc import AbstractChannel

StartBroker = Callable[..., PrivateBroker]


@asynccontextmanager
async def channel_to(url: str) -> AsyncIterator[AbstractChannel]:
    connection = await aiormq.connect(url)
    try:
        yield await connection.channel()
    finally:
        await connection.close()


async def publish_durably(url: str, body: bytes) -> None:
    async with channel_to(url) as channel:
        await channel.queue_declare("kept", durable=True)
        persistent = aiormq.spec.Basic.Properties(delivery_mode=2)
        await channel.basic_publish(body, routing_key="kept", properties=persistent)


async def fetch(url: str) -> bytes:
    async with channel_to(url) as channel:
        message = await channel.basic_get("kept", no_ack=True)
        return message.body


def processes_of(port: int) -> list[int]:
    """Return the processes of the node on that port: the node, its helpers and its epmd."""
    mark = f"RABBITMQ_NODE_PORT={port}\0".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in environment.read_bytes():
                found.append(int(environment.parent.name))
        except OSError:  # ended meanwhile, or somebody else's
            continue
    return found


def wait_until_gone(port: int, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while left := processes_of(port):
        assert time.monotonic() < end, f"processes left behind: {left}"
        time.sleep(0.02)


needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc")


async def test_node_serves_a_declaration(amqp_url: str) -> None:
    async with channel_to(amqp_url) as channel:
        declared = await channel.queue_declare(exclusive=True)

        assert declared.queue


async def test_durable_message_survives_a_restart(private_broker: StartBroker) -> None:
    broker = private_broker()
    url, pid = broker.url, broker.pid
    await publish_durably(url, b"still here")

    broker.restart()

    assert broker.url == url
    assert broker.pid != pid
    assert await fetch(url) == b"still here"


async def test_durable_message_survives_a_kill(private_broker: StartBroker) -> None:
    broker = private_broker()
    await publish_durably(broker.url, b"confirmed, so on disk")
    broker.flush()

    broker.kill()

    assert not broker.is_running()
    broker.start()
    assert await fetch(broker.url) == b"confirmed, so on disk"


def test_paused_node_does_not_answer_until_resumed(private_broker: StartBroker) -> None:
    broker = private_broker()

    broker.pause()

    with pytest.raises(TimeoutError, match=f"did not answer on port {broker.port}"):
        broker.wait_listening(0.1)
    broker.resume()
    broker.wait_listening(10)


def test_ctl_reads_and_config_reaches_the_node(private_broker: StartBroker) -> None:
    broker = private_broker({"consumer_timeout": 123456, "log.console.level": "warning"})

    answer = broker.ctl("eval", "application:get_env(rabbit, consumer_timeout).")

    assert answer.strip() == "{ok,123456}"


def test_ctl_says_what_went_wrong(private_broker: StartBroker) -> None:
    broker = private_broker()

    with pytest.raises(RuntimeError, match="rabbitmqctl no_such_command"):
        broker.ctl("no_such_command")


def test_two_nodes_live_side_by_side(private_broker: StartBroker) -> None:
    first, second = private_broker(), private_broker()

    first.kill()

    assert second.ctl("list_vhosts", "--no-table-headers").split() == ["/"]


@needs_proc
@pytest.mark.parametrize("end", [PrivateBroker.stop, PrivateBroker.close])
def test_no_process_is_left_after(end: object, private_broker: StartBroker) -> None:
    broker = private_broker()
    assert broker.pid in processes_of(broker.port)

    assert callable(end)
    end(broker)

    wait_until_gone(broker.port)


@needs_proc
def test_stop_ends_a_paused_node(private_broker: StartBroker) -> None:
    broker = private_broker()
    broker.pause()

    broker.stop()

    wait_until_gone(broker.port)


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_when_the_program_dies(
    number: signal.Signals, private_broker: StartBroker, tmp_path: Path
) -> None:
    # The fixture is here for its check that there is a server.
    program = (
        "import time; from atasks_ng.testing.broker import PrivateBroker\n"
        "broker = PrivateBroker(); broker.start(); print(broker.port, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        assert processes_of(port)

        process.send_signal(number)

    wait_until_gone(port)
    end = time.monotonic() + 10
    while list(tmp_path.iterdir()):
        assert time.monotonic() < end, "the folder of the node is left behind"
        time.sleep(0.02)


def test_start_says_why_it_failed(private_broker: StartBroker) -> None:
    with pytest.raises(RuntimeError, match="no_such_setting"):
        private_broker({"no_such_setting": True})


def test_start_takes_other_ports_when_its_own_are_taken(
    private_broker: StartBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = private_broker().port
    first_answer = [[taken, free_port(), free_port()]]

    def free_ports(number: int) -> list[int]:
        return first_answer.pop() if first_answer else [free_port() for _ in range(number)]

    monkeypatch.setattr("atasks_ng.testing.broker.free_ports", free_ports)

    broker = private_broker()

    assert broker.port != taken
    assert not first_answer


def test_missing_server_says_how_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atasks_ng.testing.broker.find_server", lambda: None)

    with pytest.raises(FileNotFoundError, match="apt-get install rabbitmq-server"):
        PrivateBroker()


def test_free_port_is_none_that_connections_start_from() -> None:
    assert 20_000 <= free_port() < 32_768
