"""Permissions: what is not permitted fails at once and by name, and what can go on goes on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import aiormq
import pytest

from atasks_ng import atask, connect, serve
from atasks_ng.testing.broker import PrivateBroker
from atasks_ng.transport import get_transport
from atasks_ng.transport.backends.amqp import access
from atasks_ng.transport.backends.amqp.settings import Names
from atasks_ng.words.errors import AccessDeniedError, OptionError
from tests.transport.amqp.test_credentials import Users

NAMES = Names("atasks_ng.default")
OWN = r"^atasks_ng\.default\.reply\."
runs: list[int] = []


@atask
async def double(x: int) -> int:
    runs.append(x)
    return 2 * x


@pytest.fixture
def users(private_broker: Callable[..., PrivateBroker]) -> Users:
    runs.clear()
    return Users(private_broker())


async def declare_all(users: Users, *, dead: bool = True) -> None:
    """Do what an operator would do beforehand."""
    connection = await aiormq.connect(users.broker.url)
    channel = await connection.channel()
    for name, kind in (
        (NAMES.requests, "direct"),
        (NAMES.replies, "direct"),
        (NAMES.control, "direct"),
        (NAMES.dead, "fanout"),
    ):
        await channel.exchange_declare(name, exchange_type=kind, durable=True)
    for nested in (False, True):
        key = Names.key("default", nested=nested)
        await channel.queue_declare(NAMES.work(key), durable=True)
        await channel.queue_bind(NAMES.work(key), NAMES.requests, key)
    if dead:
        await channel.queue_declare(NAMES.dead, durable=True)
        await channel.queue_bind(NAMES.dead, NAMES.dead)
    await connection.close()


@pytest.mark.parametrize("fast", [True, False])
async def test_users_who_may_declare_nothing_shared_can_call_and_perform(
    users: Users, fast: bool, caplog: pytest.LogCaptureFixture
) -> None:
    await declare_all(users)
    caplog.set_level(logging.DEBUG, "atasks_ng.amqp")
    exchanges = r"^atasks_ng\.default\.(req|reply|ctl|dead)$"
    await users.add(
        *("caller", "secret", OWN),
        *(rf"^atasks_ng\.default\.(req|ctl)$|{OWN}", rf"{OWN}|^atasks_ng\.default\.reply$"),
    )
    await users.add(
        *("worker", "secret", OWN, rf"{exchanges}|{OWN}"),
        rf"^atasks_ng\.default\.work\.|{OWN}|^atasks_ng\.default\.(reply|ctl)$",
    )

    async with (
        serve(users.url_of("worker", "secret"), fast=fast),
        connect(users.url_of("caller", "secret"), fast=fast),
    ):
        assert await asyncio.gather(*map(double, range(20))) == [2 * x for x in range(20)]
    left = [record for record in caplog.records if "may not bind queue" in record.message]
    assert {record.levelname for record in left} == {"DEBUG"}
    assert "need not if whoever declared the queue has bound it" in left[0].message


async def test_what_may_not_be_declared_and_is_not_there_is_named_at_once(users: Users) -> None:
    await users.add("caller", "secret", OWN, ".*", ".*")
    begun = time.monotonic()

    with pytest.raises(AccessDeniedError) as caught:
        async with connect(users.url_of("caller", "secret")):
            """It does not come to that."""

    assert time.monotonic() - begun < 2
    assert "user 'caller' may not declare exchange 'atasks_ng.default.req'" in str(caught.value)
    assert "'configure'" in str(caught.value)


async def test_queue_that_was_declared_otherwise_is_named(users: Users) -> None:
    await declare_all(users)

    with pytest.raises(OptionError, match=r"queue 'atasks_ng\.default\.dead'.*x-message-ttl"):
        async with serve(users.broker.url):
            """It does not come to that."""


async def test_worker_that_may_not_consume_is_told_so_at_once(users: Users) -> None:
    await declare_all(users, dead=False)
    await users.add("worker", "secret", ".*", ".*", rf"{OWN}|^atasks_ng\.default\.[a-z]*$")
    begun = time.monotonic()

    with pytest.raises(AccessDeniedError, match=r"consume from queue 'atasks_ng\.default\.work"):
        async with serve(users.url_of("worker", "secret")):
            """It does not come to that."""

    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("fast", [True, False])
async def test_call_that_may_not_be_made_fails_at_once_and_works_when_permitted(
    users: Users, fast: bool
) -> None:
    await users.add("caller", "secret", ".*", r"^atasks_ng\.default\.(ctl|reply)|^x$", ".*")

    async with (
        serve(users.broker.url),
        connect(users.url_of("caller", "secret"), fast=fast),
    ):
        for _ in range(3):
            begun = time.monotonic()
            with pytest.raises(AccessDeniedError, match=r"publish to exchange.*\.req'"):
                await asyncio.wait_for(double(1), 10)
            assert time.monotonic() - begun < 3
        assert runs == []

        await users.permit("caller", ".*", ".*", ".*")
        async with asyncio.timeout(20):
            while runs != [2]:
                try:
                    assert await double(2) == 4
                except AccessDeniedError:
                    await asyncio.sleep(0.5)


async def test_refusal_that_lasts_is_not_told_at_each_look(
    users: Users, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_LOOK_EVERY", 0.0)
    await users.add("caller", "secret", ".*", r"^atasks_ng\.default\.(ctl|reply)|^x$", ".*")

    async with serve(users.broker.url), connect(users.url_of("caller", "secret")):
        looked: set[float] = set()
        async with asyncio.timeout(30):
            while len(looked) < 4:
                with pytest.raises(AccessDeniedError):
                    await double(1)
                transport: Any = get_transport()
                looked.add(transport._session.access._looked_at)
                await asyncio.sleep(0.01)

    told = [each for each in caplog.messages if "publish to exchange" in each]
    assert len(told) == 1


async def test_worker_that_may_not_answer_runs_a_call_once_only(users: Users) -> None:
    await users.add("worker", "secret", ".*", r"^atasks_ng\.default\.(work|dead|reply\..*)", ".*")

    # In this order: calls go through the transport that was created last.
    async with serve(users.url_of("worker", "secret")), connect(users.broker.url):
        call = asyncio.ensure_future(double(3))
        await asyncio.sleep(6)
        assert not call.done()
        assert runs == [3]

        await users.permit("worker", ".*", ".*", ".*")
        assert await asyncio.wait_for(call, 30) == 6
