"""Logging in: with credentials that change, and what happens when the broker refuses them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from atasks_ng import atask, connect
from atasks_ng.router import Router
from atasks_ng.testing.broker import PrivateBroker
from atasks_ng.transport.backends.amqp import AMQPTransport
from atasks_ng.words.errors import AccessDeniedError, OptionError
from tests.transport.amqp.test_transport import Peers


@atask(queue="nobody-serves-this")
async def never_run() -> None:
    raise AssertionError("nobody serves it")


class Users:
    """Users of a private node."""

    def __init__(self, broker: PrivateBroker) -> None:
        self.broker = broker
        self.url = broker.url.replace("guest:guest@", "")

    async def ctl(self, *arguments: str) -> None:
        await asyncio.to_thread(self.broker.ctl, *arguments)

    async def add(self, name: str, password: str, *permissions: str) -> None:
        await self.ctl("add_user", name, password)
        await self.permit(name, *permissions or (".*", ".*", ".*"))

    async def permit(self, name: str, configure: str, write: str, read: str) -> None:
        await self.ctl("set_permissions", name, configure, write, read)

    async def drop_links(self) -> None:
        await self.ctl("close_all_connections", "test")

    def url_of(self, name: str, password: str) -> str:
        return self.broker.url.replace("guest:guest@", f"{name}:{password}@")


@pytest.fixture
def users(private_broker: Callable[..., PrivateBroker]) -> Users:
    return Users(private_broker())


async def test_credentials_are_asked_for_at_each_dial(users: Users) -> None:
    await users.add("alice", "first")
    password = "first"
    asked = []

    async def ask() -> tuple[str, str]:
        asked.append(password)
        return "alice", password

    peers = Peers(users.url, credentials=ask)
    worker = await peers.worker()
    caller = await peers.peer(users.url_of("alice", "outdated"))
    worker.echoes = True
    assert asked == ["first", "first"]

    await users.ctl("change_password", "alice", "second")
    caller.ask(b"a link that is there goes on")
    assert await caller.answer() == b"a link that is there goes on"
    await users.drop_links()
    assert await asyncio.wait_for(caller.links.get(), 10) is False
    await asyncio.sleep(1.5)
    assert caller.links.empty()  # refused, and tried again
    password = "second"

    for peer in (worker, caller):
        while not peer.transport.is_linked:
            assert await asyncio.wait_for(peer.links.get(), 10) in (True, False)
    caller.ask(b"after")
    assert await caller.answer() == b"after"
    assert asked.count("first") >= 4
    assert asked.count("second") == 2
    assert worker.abandoned.empty()
    await peers.close()


@pytest.mark.parametrize("fast", [True, False])
async def test_refused_login_is_told_at_once(users: Users, fast: bool) -> None:
    for wrong in (users.url_of("guest", "wrong-secret"), users.url_of("nobody", "wrong-secret")):
        transport = AMQPTransport("denied", wrong, fast=fast)
        begun = time.monotonic()

        with pytest.raises(AccessDeniedError, match="check the user and the password") as caught:
            await transport.connect()

        assert time.monotonic() - begun < 2
        assert "wrong-secret" not in str(caught.value)
        assert not transport.is_linked


async def test_user_without_access_to_the_virtual_host_is_told_so(users: Users) -> None:
    await users.ctl("add_user", "alice", "secret")

    with pytest.raises(AccessDeniedError, match=r"user 'alice'.*permissions in it"):
        await AMQPTransport("denied", users.url_of("alice", "secret")).connect()


async def test_calls_fail_when_the_login_is_refused_for_longer_than_the_grace(users: Users) -> None:
    await users.add("alice", "secret")
    asked = []

    def ask() -> tuple[str, str]:
        asked.append(time.monotonic())
        return "alice", "secret"

    Router(worker_grace=600.0)
    async with connect(users.url, credentials=ask, access_grace=3.0):
        call = asyncio.ensure_future(never_run())
        await asyncio.sleep(0.2)
        await users.ctl("change_password", "alice", "changed")
        await users.drop_links()
        begun = time.monotonic()
        await asyncio.sleep(2)
        assert not call.done()

        with pytest.raises(AccessDeniedError, match="'alice'"):
            await asyncio.wait_for(call, 15)
        took = time.monotonic() - begun
        later = asyncio.ensure_future(never_run())
        with pytest.raises(AccessDeniedError):
            await asyncio.wait_for(later, 10)

    assert 3 <= took < 3 + 5 + 1
    assert len(asked) >= 4


@pytest.mark.parametrize("told", [None, "alice:secret-1", ("alice",), ("alice", 7), ("", "x")])
async def test_credentials_that_are_none_are_refused_without_being_shown(told: Any) -> None:
    transport = AMQPTransport("odd", "amqp://127.0.0.1:9/", credentials=lambda: told)

    with pytest.raises(OptionError, match="a user and a password") as caught:
        await transport.connect()

    assert "secret-1" not in str(caught.value) + repr(transport.settings)


async def test_what_credentials_raises_is_raised_by_connect() -> None:
    def ask() -> tuple[str, str]:
        raise LookupError("the vault is sealed")

    with pytest.raises(LookupError, match="sealed"):
        await AMQPTransport("sealed", "amqp://127.0.0.1:9/", credentials=ask).connect()


async def test_link_is_made_again_after_credentials_failed_for_a_while(users: Users) -> None:
    is_sealed = False

    def ask() -> tuple[str, str]:
        if is_sealed:
            raise LookupError("the vault is sealed")
        return "guest", "guest"

    peers = Peers(users.url, credentials=ask)
    peer = await peers.peer()
    is_sealed = True
    await users.drop_links()
    assert await asyncio.wait_for(peer.links.get(), 10) is False
    await asyncio.sleep(1.5)

    is_sealed = False

    assert await asyncio.wait_for(peer.links.get(), 10) is True
    await peers.close()


async def test_credentials_that_never_come_are_an_error_in_time() -> None:
    async def ask() -> tuple[str, str]:
        await asyncio.sleep(60)
        return "alice", "late"

    transport = AMQPTransport("late", "amqp://127.0.0.1:9/", credentials=ask, request_timeout=0.1)

    with pytest.raises(ConnectionError, match=r"no user and password within 0\.1 s"):
        await transport.connect()


def test_credentials_that_cannot_be_called_are_refused() -> None:
    with pytest.raises(OptionError, match="credentials="):
        AMQPTransport("odd", credentials=("alice", "secret"))  # type: ignore[arg-type]
