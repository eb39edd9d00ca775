from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from atasks_ng.worker.lifeline import VARIABLE, Lifeline


@pytest.fixture
def ends() -> Iterator[tuple[Lifeline, Lifeline]]:
    ours, theirs = map(Lifeline, socket.socketpair())
    yield ours, theirs
    ours.close()
    theirs.close()


async def test_ready_is_heard_at_the_other_end(ends: tuple[Lifeline, Lifeline]) -> None:
    ours, theirs = ends

    theirs.tell_ready()

    assert await ours.wait_ready() is True


async def test_end_before_ready_is_not_ready(ends: tuple[Lifeline, Lifeline]) -> None:
    ours, theirs = ends

    theirs.close()

    assert await ours.wait_ready() is False


async def test_loss_of_the_supervisor_is_heard(ends: tuple[Lifeline, Lifeline]) -> None:
    ours, theirs = ends
    waiting = asyncio.create_task(theirs.wait_lost())
    await asyncio.sleep(0)
    assert not waiting.done()

    ours.close()

    async with asyncio.timeout(5):
        await waiting


async def test_ready_told_to_nobody_is_no_error(ends: tuple[Lifeline, Lifeline]) -> None:
    ours, theirs = ends
    ours.close()

    theirs.tell_ready()

    async with asyncio.timeout(5):
        await theirs.wait_lost()


async def test_environment_gives_it_once_and_to_this_process_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = socket.socketpair()
    fd = theirs.detach()
    os.set_inheritable(fd, True)
    monkeypatch.setenv(VARIABLE, str(fd))

    lifeline = Lifeline.from_environment()

    assert lifeline is not None
    assert not os.get_inheritable(fd)
    assert Lifeline.from_environment() is None
    lifeline.tell_ready()
    assert await Lifeline(ours).wait_ready()
    lifeline.close()
    ours.close()
