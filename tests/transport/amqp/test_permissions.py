"""With the patterns that are documented, each role can do its work, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiormq
import pytest
from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused

from atasks_ng import connect, serve
from atasks_ng.cli import main
from atasks_ng.testing.broker import PrivateBroker
from atasks_ng.transport.backends.amqp import AMQPTransport, topology
from atasks_ng.transport.backends.amqp.permissions import permissions
from atasks_ng.transport.backends.amqp.settings import Names, owner_of
from atasks_ng.words.errors import AccessDeniedError, OptionError
from tests.transport.amqp.permitted_tasks import count, double, doze, linger, meddle, quadruple

ROOT = Path(__file__).parents[3]
BASE = "acme.shop"

ROLES = {
    "ops": ["--role", "operator"],
    "al.ice": ["--role", "caller"],
    "bob": ["--role", "worker", "--queue", "default"],
    "carol": ["--role", "worker", "--role", "caller", "--queue", "gpu"],
}


class Site:
    """A node whose users are permitted what the command prints."""

    def __init__(self, broker: PrivateBroker, queue_type: str, *, guarded: bool = False) -> None:
        self.broker = broker
        self.queue_type = queue_type
        self.guarded = guarded

    def url_of(self, user: str) -> str:
        login = f"{user}:secret@"
        options = f"?prefix=acme&queue_type={self.queue_type}"
        return self.broker.url.replace("guest:guest@", login) + options

    async def ctl(self, *arguments: str) -> str:
        return await asyncio.to_thread(self.broker.ctl, *arguments)

    async def set_up(self, capsys: pytest.CaptureFixture[str]) -> None:
        guarded = ["--guarded"] if self.guarded else []
        for user, roles in ROLES.items():
            options = [*roles, "--namespace=shop", "--prefix=acme", *guarded]
            assert main(["permissions", user, *options]) == 0
            await self.ctl("add_user", user, "secret")
            for printed in capsys.readouterr().out.partition("\n\n")[2].splitlines():
                await self.ctl(*shlex.split(printed)[1:])
        await topology.declare(
            self.url_of("ops"), ["shop"], ["default", "gpu"], guarded=self.guarded
        )

    @contextlib.asynccontextmanager
    async def worker(self, user: str, queue: str, log: Path) -> AsyncIterator[None]:
        command = [sys.executable, "-m", "atasks_ng", "worker", __package__ + ".permitted_tasks"]
        options = ["--namespace=shop", f"--queue={queue}", "--grace=1", "--log-level=warning"]
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *command,
                *options,
                env={**os.environ, "ATASKS_NG_URL": self.url_of(user), "PYTHONPATH": str(ROOT)},
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        try:
            yield
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), 30)

    @contextlib.asynccontextmanager
    async def workers(self, folder: Path) -> AsyncIterator[None]:
        async with (
            self.worker("bob", "default", folder / "bob"),
            self.worker("carol", "gpu", folder / "carol"),
        ):
            yield

    def refused(self) -> set[str]:
        """Return which operations of AMQP the node has refused since it was started."""
        return set(re.findall(r"operation ([a-z]+\.[a-z]+) caused a channel", self.broker.log()))


@pytest.fixture(params=["classic", "quorum guarded"])
async def site(
    private_broker: Callable[..., PrivateBroker],
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> Site:
    queue_type, *guarded = request.param.split()
    found = Site(private_broker(), queue_type, guarded=bool(guarded))
    await found.set_up(capsys)
    return found


# What a process tries that may not declare, before it takes what is there.
DECLARING = {"exchange.declare", "queue.declare", "queue.bind"}


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110  # another process makes it so
        await asyncio.sleep(0.02)


async def use(folder: Path) -> None:
    """Do everything that a caller can do."""
    folder.mkdir()
    assert await asyncio.gather(*map(double, range(50))) == [2 * x for x in range(50)]
    assert await quadruple(3) == 12
    assert [number async for number in count(20)] == list(range(20))
    call = asyncio.ensure_future(linger(str(folder)))
    await until((folder / "begun").exists)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (folder / "ended").exists()


@pytest.mark.timeout(180)
async def test_each_role_can_do_its_work(site: Site, tmp_path: Path) -> None:
    async with (
        asyncio.timeout(170),
        site.workers(tmp_path),
        connect(site.url_of("al.ice"), namespace="shop"),
    ):
        await use(tmp_path / "first")
        assert site.refused() <= DECLARING

        # The worker gets it again, and asks whether its caller still waits.
        under_way = asyncio.ensure_future(doze(5.0))
        await asyncio.to_thread(site.broker.restart)
        assert await under_way == 5.0
        await use(tmp_path / "second")
        assert site.refused() <= DECLARING

        with pytest.raises(AccessDeniedError, match=r"'bob' may not publish.*acme\.shop\.req"):
            await meddle(1)
        assert await double(4) == 8
    assert "may not" not in (tmp_path / "carol").read_text()


Operation = Callable[[AbstractChannel], Awaitable[Any]]


def consume(queue: str) -> Operation:
    return lambda channel: channel.basic_consume(queue, lambda message: asyncio.sleep(0))


def take(queue: str) -> Operation:
    return lambda channel: channel.basic_get(queue)


def publish(exchange: str, key: str) -> Operation:
    async def operation(channel: AbstractChannel) -> None:
        await channel.basic_publish(b"", exchange=exchange, routing_key=key)
        # Asking for anything else shows that it was carried out.
        await channel.exchange_declare("amq.direct", passive=True)

    return operation


def bind(queue: str, exchange: str, key: str) -> Operation:
    return lambda channel: channel.queue_bind(queue, exchange, key)


def declare(queue: str, **arguments: Any) -> Operation:
    return lambda channel: channel.queue_declare(queue, durable=True, arguments=arguments)


def declare_exchange(exchange: str) -> Operation:
    return lambda channel: channel.exchange_declare(exchange, exchange_type="direct", durable=True)


def delete(queue: str) -> Operation:
    return lambda channel: channel.queue_delete(queue)


def purge(queue: str) -> Operation:
    return lambda channel: channel.queue_purge(queue)


OWN = {user: f"{BASE}.reply.{owner_of(user)}.x" for user in ROLES}
WORK = f"{BASE}.work.default"
REQ, CTL, REPLY, DEAD = (f"{BASE}.{part}" for part in ("req", "ctl", "reply", "dead"))

FORBIDDEN: dict[str, list[Operation]] = {
    "al.ice": [
        *(consume(WORK), take(WORK), purge(WORK), delete(WORK), declare(f"{BASE}.work.mine")),
        *(consume(DEAD), consume(OWN["bob"]), take(OWN["carol"]), delete(OWN["bob"])),
        *(declare(OWN["bob"]), bind(OWN["bob"], REPLY, "x"), bind(WORK, REPLY, "x")),
        # Copies of all calls, of all cancels.
        *(bind(OWN["al.ice"], REQ, "default"), bind(OWN["al.ice"], CTL, "default")),
        # Copies of what somebody else gets.
        *(bind(OWN["al.ice"], REPLY, OWN["bob"]), bind(OWN["al.ice"], REPLY, "#")),
        # Past the exchanges, straight into a queue.
        *(publish("", WORK), publish("", OWN["bob"]), publish(DEAD, "")),
        # An answer to somebody else.
        *(publish(REPLY, OWN["bob"]), publish(REPLY, OWN["al.ice"])),
        # Where the broker would put expired messages for her.
        declare(f"{OWN['al.ice']}2", **{"x-dead-letter-exchange": DEAD}),
        *(declare_exchange(f"{BASE}.mine"), declare("mine"), declare("acme.other.reply.al.x")),
    ],
    "bob": [
        *(publish(REQ, "default"), publish(CTL, "default"), publish("", WORK)),
        *(consume(f"{BASE}.work.gpu"), consume(f"{BASE}.work.default2"), consume(OWN["al.ice"])),
        *(purge(DEAD), delete(DEAD), delete(WORK), declare(f"{BASE}.work.mine")),
        *(bind(OWN["bob"], REQ, "default"), bind(WORK, REQ, "gpu"), declare("mine")),
    ],
    "carol": [
        *(consume(WORK), consume(OWN["bob"]), bind(OWN["carol"], REQ, "default"), delete(WORK)),
        *(publish("", WORK), purge(DEAD)),
    ],
    "ops": [
        *(publish(REQ, "default"), publish(REPLY, "x"), publish(CTL, "default")),
        *(consume(WORK), consume(OWN["bob"]), declare(OWN["ops"])),
    ],
}


@pytest.mark.parametrize("site", ["classic guarded"], indirect=True)
async def test_no_role_can_do_anything_else(site: Site) -> None:
    guest = await aiormq.connect(site.broker.url)
    channel = await guest.channel()
    for queue in (*OWN.values(), f"{BASE}.work.default2"):
        await channel.queue_declare(queue, durable=True)
    allowed = []
    for user, operations in FORBIDDEN.items():
        connection = await aiormq.connect(site.url_of(user))
        for number, operation in enumerate(operations):
            try:
                await operation(await connection.channel())
            except ChannelAccessRefused:
                continue
            allowed.append((user, number))
        await connection.close()
    await guest.close()

    assert allowed == []


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
async def test_operator_declares_what_a_worker_would_that_may(
    private_broker: Callable[..., PrivateBroker], queue_type: str
) -> None:
    site = Site(private_broker(), queue_type)
    found = []
    for vhost in ("operator", "worker"):
        await site.ctl("add_vhost", vhost)
        await site.ctl("set_permissions", "--vhost", vhost, "guest", ".*", ".*", ".*")
        url = f"{site.broker.url}{vhost}?prefix=acme&queue_type={queue_type}"
        if vhost == "operator":
            named = await topology.declare(url, ["shop", "other"], ["default", "gpu"])
        else:
            async with serve(url, namespace=["shop", "other"], queues=["default", "gpu"]):
                """It has declared everything."""
        shown = [
            await site.ctl("list_exchanges", "-p", vhost, "name", "type", "durable", "arguments"),
            await site.ctl("list_queues", "-p", vhost, "name", "type", "durable", "arguments"),
            await site.ctl(
                *("list_bindings", "-p", vhost),
                *("source_name", "destination_name", "routing_key", "arguments"),
            ),
        ]
        found.append([sorted(text.splitlines()) for text in shown])

    assert found[0] == found[1]
    text = str(found)
    assert all(f"'{name}\\t" in text for name in named)


async def test_operator_that_may_not_declare_is_told_so(
    private_broker: Callable[..., PrivateBroker], capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(private_broker(), "classic")
    await site.set_up(capsys)

    with pytest.raises(AccessDeniedError, match=r"'bob' may not declare exchange 'acme\.new\.req'"):
        await topology.declare(site.url_of("bob"), ["new"])
    otherwise = site.url_of("ops").replace("classic", "quorum")
    with pytest.raises(OptionError, match="was declared with other settings"):
        await topology.declare(otherwise, ["shop"])


# -- the patterns alone ------------------------------------------------------------------------


NAMES = Names("atasks_ng.shop", "al")


@pytest.mark.parametrize("other", ["al.ice", "alice", "a", "al.", "AL", "al%", "á", "x" * 300])
def test_queues_of_one_user_are_not_anothers(other: str) -> None:
    allowed = permissions(["caller", "worker", "operator"], "al", ["shop"])
    others = Names("atasks_ng.shop", owner_of(other)).inbox("0" * 32)

    for pattern in (allowed.configure, allowed.write, allowed.read):
        assert re.search(pattern, others) is None
    for pattern in (allowed.configure, allowed.write, allowed.read):
        assert re.search(pattern, NAMES.inbox("0" * 32))


@pytest.mark.parametrize(
    "name",
    ["atasks_ngxshop.req", "x.atasks_ng.shop.req", "atasks_ng.shop.reqs", "atasks_ng.shop2.req"],
)
def test_patterns_are_anchored_and_escaped(name: str) -> None:
    allowed = permissions(["caller", "worker", "operator"], "al", ["shop"])

    for pattern in (allowed.configure, allowed.write, allowed.read):
        assert re.search(pattern, name) is None


def test_nothing_is_permitted_that_no_role_needs() -> None:
    assert permissions([], "al").read == "^$"
    with pytest.raises(OptionError, match="use caller, worker, operator"):
        permissions(["admin"], "al")
    with pytest.raises(OptionError, match="namespace"):
        permissions(["caller"], "al", ["a|b"])
    with pytest.raises(OptionError, match="queue"):
        permissions(["worker"], "al", queues=[".*|"])


def test_names_that_are_too_long_together_are_refused() -> None:
    with pytest.raises(OptionError, match="too long together"):
        AMQPTransport("n" * 100, f"amqp://{'u' * 90}:secret@localhost/", prefix="p" * 100)
