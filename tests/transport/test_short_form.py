"""A transport of a user that defines three methods: what it may do wrong ends no await badly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from atasks_ng import atask
from atasks_ng.codecs import MsgpackCodec
from atasks_ng.protocol import envelopes
from atasks_ng.router import get_router
from atasks_ng.transport.base import Transport
from atasks_ng.words import errors


class Own(Transport):
    """Answers a request as the test says."""

    def __init__(self, answer: Callable[[bytes], Any]) -> None:
        super().__init__()
        self.answer = answer

    async def connect(self) -> None:
        """There is nothing to connect to."""

    async def disconnect(self) -> None:
        """There is nothing to disconnect from."""

    async def send_request(self, name: str, content: bytes) -> bytes:
        answer = self.answer(content)
        return await answer if asyncio.iscoroutine(answer) else answer  # type: ignore[no-any-return]


@atask
async def never_here(x: int = 0) -> int:
    raise AssertionError("performed elsewhere")


@atask
async def double(x: int) -> int:
    return 2 * x


@pytest.fixture
def install() -> Callable[..., Own]:
    """Return what installs a transport that answers as it is told."""
    MsgpackCodec()
    return Own


@pytest.mark.parametrize("garbage", [b"", b"garbage", None, 7, "text"], ids=repr)
async def test_answer_that_is_no_envelope_is_an_error(
    install: Callable[..., Own], garbage: Any
) -> None:
    install(lambda content: garbage)

    with pytest.raises(errors.BadMessageError):
        await asyncio.wait_for(never_here(), 1)

    assert get_router().pending == 0


async def test_answer_to_another_request_is_an_error(install: Callable[..., Own]) -> None:
    answer = envelopes.encode(envelopes.Value("another", 0, None, b""))
    transport = install(lambda content: transport.sealing.message(answer, ""))

    with pytest.raises(errors.BadMessageError, match="another request"):
        await asyncio.wait_for(never_here(), 1)


@pytest.mark.parametrize(
    "error", [OSError("unreachable"), ValueError("odd"), errors.ConnectionLostError("gone")]
)
async def test_exception_of_send_request_is_raised_by_the_await(
    install: Callable[..., Own], error: Exception
) -> None:
    def fail(content: bytes) -> bytes:
        raise error

    install(fail)

    with pytest.raises(type(error)) as caught:
        await asyncio.wait_for(never_here(), 1)

    assert caught.value is error


async def test_cancel_is_told_to_send_request_with_its_message(
    install: Callable[..., Own],
) -> None:
    heard = []

    async def hang(content: bytes) -> bytes:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as exc:
            heard.append(exc.args)
            raise
        return b""

    install(hang)
    call = asyncio.ensure_future(never_here())
    await asyncio.sleep(0.01)

    call.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call, 1)

    assert heard == [("enough",)]


async def test_cancel_before_send_request_began_ends_the_call_at_once(
    install: Callable[..., Own],
) -> None:
    asked: list[bytes] = []
    install(asked.append)
    call = asyncio.ensure_future(never_here())
    await asyncio.sleep(0)  # it is posted now; the exchange begins in the next step

    call.cancel()
    begun = asyncio.get_running_loop().time()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert asyncio.get_running_loop().time() - begun < 0.5
    assert asked == []


async def test_call_that_takes_long_is_not_sent_twice(install: Callable[..., Own]) -> None:
    asked = []

    async def answer_late(content: bytes) -> bytes:
        asked.append(content)
        await asyncio.sleep(0.05)
        request = envelopes.decode(transport.sealing.open_request(content, ""))
        value = envelopes.Value(request.id, 0, None, MsgpackCodec().encode(1))
        return transport.sealing.message(envelopes.encode(value), "")

    transport = install(answer_late)
    call = asyncio.ensure_future(never_here())
    await asyncio.sleep(0.01)

    assert transport.receiver is not None
    transport.receiver.on_link(up=True)  # what is under way is posted again

    assert await call == 1
    assert len(asked) == 1


async def test_methods_that_are_missing_are_named() -> None:
    class Half(Transport):
        """Defines nothing."""

    half = Half()

    for method, arguments in (("connect", ()), ("disconnect", ()), ("send_request", ("n", b""))):
        with pytest.raises(NotImplementedError, match=rf"Half must define {method}\("):
            await getattr(half, method)(*arguments)


async def test_request_that_is_garbage_is_refused() -> None:
    MsgpackCodec()
    transport = Own(lambda content: transport.callback("name", content))  # type: ignore[misc]
    await get_router().activate(transport)
    assert transport.callback is not None

    answer = await transport.callback("name", b"garbage")

    refusal = envelopes.decode(transport.sealing.open_message(answer, ""))
    assert isinstance(refusal, envelopes.Refusal)
    assert refusal.error == "BadMessageError"

    assert await double(4) == 8
    await get_router().deactivate(0)


async def test_call_whose_request_is_damaged_ends_with_that_error() -> None:
    MsgpackCodec()

    def damage(content: bytes) -> Any:
        assert transport.callback is not None
        return transport.callback("name", content[:9] + b"?" + content[10:])

    transport = Own(damage)
    await get_router().activate(transport)

    with pytest.raises(errors.BadMessageError, match="damaged"):
        await asyncio.wait_for(double(4), 1)

    await get_router().deactivate(0)


async def test_callback_is_taken_away_when_the_router_stops() -> None:
    MsgpackCodec()
    transport = Own(lambda content: transport.callback("name", content))  # type: ignore[misc]
    await get_router().activate(transport)

    await get_router().deactivate(0)

    assert transport.callback is None
