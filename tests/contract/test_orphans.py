"""Calls whose caller is gone: they stop, and those that have not begun never begin."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable

import pytest

from atasks_ng import serve
from atasks_ng.codecs import MsgpackCodec
from atasks_ng.router import Router, get_router

from . import tasks
from .worlds import ROOT, Broker, until

# How long the broker keeps the address of a process that it has lost.
LEASE = 1

CALLER = """
import asyncio, sys
from atasks_ng import connect
from tests.contract import tasks

async def main():
    url, prefix, lease, key, count = sys.argv[1:]
    async with connect(url, prefix=prefix, reply_expires=int(lease)):
        async with asyncio.TaskGroup() as group:
            for number in range(int(count)):
                group.create_task(tasks.hang(key))
            await asyncio.sleep(0.2)
            print("sent", flush=True)

asyncio.run(main())
"""

pytestmark = pytest.mark.amqp


class Place:
    """A broker, names on it, and a page of the journal."""

    def __init__(self, broker: Broker) -> None:
        self.url = broker.url
        self.prefix = broker.new_prefix()
        self.key = uuid.uuid4().hex

    @property
    def options(self) -> dict[str, object]:
        return {"prefix": self.prefix, "reply_expires": LEASE}

    @property
    def notes(self) -> list[str]:
        return tasks.journal[self.key]

    async def call_and_die(self, count: int) -> None:
        """Let another process make calls that do not end, and kill it."""
        caller = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            CALLER,
            *[self.url, self.prefix, str(LEASE), self.key, str(count)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
        )
        assert caller.stdout is not None
        assert await caller.stdout.readline() == b"sent\n"
        caller.send_signal(signal.SIGKILL)
        await caller.wait()


@pytest.fixture
async def place(get_broker: Callable[[], Broker]) -> Place:
    MsgpackCodec()
    Router()
    place = Place(get_broker())
    async with serve(place.url, grace=0, **place.options):  # type: ignore[arg-type]
        pass  # the queue is there
    return place


async def test_running_call_is_cancelled_when_its_caller_is_gone(place: Place) -> None:
    async with serve(place.url, grace=0, **place.options):  # type: ignore[arg-type]
        await place.call_and_die(1)

        # It says that it is alive after a second, and then every 15.
        await until(lambda: get_router().running == 0, timeout=25)

    assert place.notes == ["started", "cancelled ()", "cleaned up"]


async def test_call_that_lay_in_the_queue_never_starts_when_its_caller_is_gone(
    place: Place,
) -> None:
    await place.call_and_die(50)
    await asyncio.sleep(LEASE + 1)

    async with serve(place.url, concurrency=2, **place.options):  # type: ignore[arg-type]
        assert await tasks.add(1) == 2  # it came last
        await until(lambda: get_router().running == 0)

    assert place.notes == []


async def test_orphans_that_come_back_do_not_keep_others_waiting(place: Place) -> None:
    async with serve(place.url, concurrency=60, grace=0, **place.options):  # type: ignore[arg-type]
        await place.call_and_die(50)
    assert place.notes.count("started") == 50

    async with serve(place.url, concurrency=2, **place.options):  # type: ignore[arg-type]
        # Each of them asks its caller, who has no link, and whose lease is not over.
        assert await asyncio.wait_for(tasks.add(1), 10) == 2
        await until(lambda: get_router().running == 0, timeout=30)

    assert place.notes.count("started") == 50
