"""Connecting: by URL or part by part, in every namespace, and what is wrong is said."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from atasks_ng import atask, connect, serve
from atasks_ng.codecs import JsonCodec, MsgpackCodec, PickleCodec, get_codec
from atasks_ng.router import Router, get_router
from atasks_ng.transport import get_transport, register_scheme, transport_from_url
from atasks_ng.transport.backends.amqp import AMQPTransport
from atasks_ng.transport.base import LoopbackTransport, Transport
from atasks_ng.words import errors

from . import tasks


async def test_default_url_is_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATASKS_NG_URL", raising=False)

    async with connect():
        assert await tasks.add(1) == 2


async def test_environment_names_the_default_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATASKS_NG_URL", "nonsense://there")

    with pytest.raises(errors.BadURLError, match="'nonsense://there'"):
        async with connect():
            """It does not come to that."""


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("localhost:5672", "it has no scheme"),
        ("ampq://localhost/", "no transport has the scheme 'ampq'"),
        ("amqp://", "it names no host"),
        ("amqp://localhost:99999/", "out of range"),
        ("amqp://localhost:port/", "the form is amqp://"),
    ],
)
async def test_wrong_url_is_refused_and_the_forms_are_named(url: str, reason: str) -> None:
    with pytest.raises(errors.BadURLError) as caught:
        async with connect(url):
            """It does not come to that."""

    assert reason in str(caught.value)
    assert "amqp://" in str(caught.value)


async def test_password_is_not_shown_in_errors() -> None:
    with pytest.raises(errors.ConnectionLostError) as caught:
        # Port 9 discards; nobody listens there.
        async with connect("amqp://guest:secret@127.0.0.1:9/"):
            """It does not come to that."""

    assert "guest:***@" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["loopback://", "amqp://localhost/"])
async def test_unknown_option_of_connect_is_refused_and_the_known_are_named(url: str) -> None:
    with pytest.raises(errors.OptionError) as caught:
        async with connect(url, colour="red"):
            """It does not come to that."""

    assert "'colour'" in str(caught.value)
    assert "max_suspended" in str(caught.value)


def test_unknown_option_of_a_transport_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        AMQPTransport(colour="red")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "options",
    [
        {"queue_type": "stream"},
        {"heartbeat": 0},
        {"heartbeat": "15"},
        {"reply_expires": -1},
        {"prefix": "with space"},
        {"namespace": "a/b"},
    ],
)
def test_option_of_amqp_out_of_range_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(errors.OptionError, match=next(iter(options))):
        AMQPTransport(**options)


async def test_failed_connect_leaves_nothing_behind() -> None:
    with pytest.raises(errors.ConnectionLostError):
        async with connect("amqp://guest:guest@127.0.0.1:9/"):
            """It does not come to that."""

    assert get_transport() is None
    with pytest.raises(errors.NotConnectedError):
        await tasks.add(1)


async def test_connect_makes_the_default_codec() -> None:
    async with connect("loopback://"):
        assert type(get_codec()) is MsgpackCodec


async def test_connect_keeps_a_codec_that_is_there() -> None:
    codec = JsonCodec()

    async with connect("loopback://"):
        assert get_codec() is codec
        assert await tasks.add(1) == 2


async def test_creating_a_part_installs_it_in_its_namespace_only() -> None:
    codec = PickleCodec(namespace="parts")
    transport = LoopbackTransport(namespace="parts")
    router = Router(namespace="parts")

    assert get_codec("parts") is codec
    assert get_transport("parts") is transport
    assert get_router("parts") is router
    assert get_codec() is None
    assert get_transport() is None


async def test_namespaces_do_not_hear_of_each_other() -> None:
    @atask(namespace="here")
    async def here() -> str:
        return "here"

    @atask(namespace="there")
    async def there() -> str:
        return await here() + " and there"

    async with connect("loopback://", namespace="here"):
        with pytest.raises(errors.NotConnectedError):
            await there()
        async with connect("loopback://", namespace="there"):
            assert await there() == "here and there"


async def test_namespaces_may_have_different_codecs() -> None:
    @atask(namespace="json")
    async def keys(value: dict[str, int]) -> list[str]:
        return list(value)

    @atask(namespace="pickle")
    async def size(value: set[int]) -> int:
        return len(await keys({str(each): each for each in value}))

    JsonCodec(namespace="json")
    PickleCodec(namespace="pickle")
    async with (
        connect(namespace="json", url="loopback://"),
        serve("loopback://", namespace="pickle"),
    ):
        assert await size({1, 2, 3}) == 3


async def test_scheme_of_a_user_makes_a_transport_of_theirs() -> None:
    made: list[tuple[str, str, dict[str, Any]]] = []

    def factory(*, namespace: str, url: str, **options: Any) -> Transport:
        made.append((namespace, url, options))
        return LoopbackTransport(namespace)

    register_scheme("tests-own", factory)

    transport_from_url("tests-own://somewhere", "theirs", depth=3)

    assert made == [("theirs", "tests-own://somewhere", {"depth": 3})]


async def test_inner_connection_gives_way_to_the_outer_one_again() -> None:
    async with connect("loopback://"):
        outer = get_transport()
        async with connect("loopback://"):
            assert get_transport() is not outer
            assert await tasks.add(1) == 2

        assert get_transport() is outer
        assert await tasks.add(2) == 3


async def test_second_worker_of_a_namespace_is_refused() -> None:
    other = "amqp://guest:guest@127.0.0.1:9/"

    async with serve("loopback://"):
        with pytest.raises((errors.UsageError, errors.ConnectionLostError)):
            async with serve(other):
                """It does not come to that."""

        assert await asyncio.wait_for(tasks.add(1), 2) == 2
