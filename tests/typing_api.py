"""
Every public signature, used once: checked by ``mypy --strict`` and by ``pyright``, never run.

What a checker must refuse is marked with an ignore; ``mypy --strict`` complains of one that is not
needed.
"""

# pyright: strict
from __future__ import annotations

import asyncio
import dataclasses
import datetime
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextvars import ContextVar
from typing import Any, Self, assert_type

import atasks_ng
from atasks_ng import (
    Call,
    Connection,
    Worker,
    atask,
    connect,
    current_call,
    errors,
    propagate,
    run,
    serve,
    timeout,
)
from atasks_ng.codecs import (
    CloudpickleCodec,
    Codec,
    CompressedCodec,
    EncryptedCodec,
    JsonCodec,
    KeyRing,
    MsgpackCodec,
    PickleCodec,
    SignedCodec,
    get_codec,
    register,
)
from atasks_ng.protocol.seals import Seal
from atasks_ng.router import Router, get_router
from atasks_ng.tasks import TaskFunction
from atasks_ng.transport.backends.amqp import AMQPTransport
from atasks_ng.transport.base import LoopbackTransport, Transport, get_transport

# -- tasks -------------------------------------------------------------------------------------


@atask
async def square(x: int, *, unit: str = "m") -> str:
    return f"{x * x} {unit}2"


@atask()
async def nothing() -> None: ...


@atask(
    name="img.resize",
    namespace="images",
    queue="gpu",
    timeout=datetime.timedelta(seconds=30),
    executor="loop",
    window=3,
    ack="early",
    max_attempts=5,
    validate=True,
)
async def resize(image: bytes, *sizes: int, **more: float) -> list[bytes]:
    return [image]


@atask(timeout=None, executor=None, name=None)
def plain(x: int) -> float:
    return x / 2


@atask(executor="thread")
def in_thread(x: int) -> float:
    return x / 2


@atask
def promised(x: int) -> Awaitable[bytes]:
    return asyncio.sleep(0, bytes(x))


@atask
def future(x: int) -> asyncio.Future[bytes]:
    return asyncio.get_running_loop().create_future()


@atask
def coroutine(x: int) -> Coroutine[None, None, bytes]:
    return asyncio.sleep(0, bytes(x))


@atask
async def count(n: int) -> AsyncIterator[int]:
    yield n


@atask(window=10)
async def echo(first: str) -> AsyncGenerator[int, str]:
    got = yield len(first)
    yield len(got)


async def local(x: int) -> str:
    return str(x)


called: TaskFunction[[int], Coroutine[Any, Any, str]] = atask(local, name="called")
with_options = atask(queue="gpu")(local)
of_partial = atask(functools.partial(local, 1), name="partial")


async def calls() -> None:
    made = square(4, unit="cm")
    assert_type(await made, str)
    assert_type(await square(4), str)
    assert_type(await resize(b"", 1, 2, factor=0.5), list[bytes])
    assert_type(await plain(1), float)
    assert_type(await in_thread(1), float)
    assert_type(await promised(1), bytes)
    assert_type(await future(1), bytes)
    assert_type(await coroutine(1), bytes)
    assert_type(await called(1), str)
    assert_type(await with_options(1), str)
    assert_type(await of_partial(), str)
    await nothing()
    assert_type(square.__name__, str)
    assert_type(square.__qualname__, str)
    assert_type(square.__doc__, str | None)
    assert_type(square.__wrapped__, Callable[..., Any])


async def calls_with_options() -> None:
    quick = square.options(timeout=5, queue="gpu")
    assert_type(await quick(4, unit="m"), str)
    assert_type(await quick.options(timeout=datetime.timedelta(1))(4), str)
    async for x in count.options(window=4, timeout=None)(3):
        assert_type(x, int)


async def calls_at_once() -> None:
    assert_type(await asyncio.gather(square(1), resize(b"")), tuple[str, list[bytes]])
    assert_type(await asyncio.wait_for(square(1), 5), str)
    assert_type(await asyncio.shield(square(1)), str)
    async with asyncio.TaskGroup() as group:
        assert_type(group.create_task(square(1)), asyncio.Task[str])
    by_name: dict[str, Callable[[int], Awaitable[str]]] = {"square": square}
    assert_type(await by_name["square"](1), str)
    assert_type(await functools.partial(square, unit="m")(1), str)


async def generators() -> None:
    assert_type(count(3), AsyncIterator[int])
    assert_type([x async for x in count(3)], list[int])
    assert_type(await anext(count(3)), int)
    generator = echo("a")
    assert_type(generator, AsyncGenerator[int, str])
    assert_type(await generator.asend("b"), int)
    await generator.aclose()


async def refused() -> None:
    await square("4")  # type: ignore[arg-type]
    await square(4, "m")  # type: ignore[call-arg]
    await square(4, unit=1)  # type: ignore[arg-type]
    await Point(1).moved("a")  # type: ignore[arg-type]
    square.options(timeout="5")  # type: ignore[arg-type]
    square.options(speed=5)  # type: ignore[call-arg]
    atask(local, executor="gpu")  # type: ignore[call-overload]


# -- methods -----------------------------------------------------------------------------------


@register
@dataclasses.dataclass
class Point:
    x: int

    @atask
    async def moved(self, by: int, *, times: int = 1) -> str:
        return f"{self.x + by * times}"

    @atask(timeout=3)
    async def itself(self) -> Self:
        return self

    @atask
    async def steps(self, n: int) -> AsyncIterator[int]:
        yield self.x + n

    @staticmethod
    @atask
    async def static_above(x: int) -> str:
        return str(x)

    @atask
    @staticmethod
    async def static_below(x: int) -> str:
        return str(x)

    @classmethod
    @atask
    async def class_above(cls, x: int) -> str:
        return str(x)

    @atask
    @classmethod
    async def class_below(cls, x: int) -> str:
        return str(x)


class Derived(Point):
    """Its methods know that they are its own."""


async def methods(point: Point, derived: Derived) -> None:
    assert_type(await point.moved(1, times=2), str)
    assert_type(await Point.moved(point, 1), str)
    assert_type(await Point.moved.options(timeout=1)(point, 1), str)
    assert_type(await point.itself(), Point)
    assert_type(await derived.itself(), Derived)
    assert_type(point.steps(3), AsyncIterator[int])
    assert_type(await derived.moved(1), str)


async def static_and_class_methods(point: Point, derived: Derived) -> None:
    assert_type(await Point.static_above(1), str)
    assert_type(await point.static_above(1), str)
    assert_type(await Point.static_below(1), str)
    assert_type(await derived.static_below(1), str)
    assert_type(await Point.class_above(1), str)
    assert_type(await point.class_above(1), str)
    assert_type(await Derived.class_below(1), str)
    assert_type(await derived.class_below(1), str)


# -- connecting and serving --------------------------------------------------------------------


async def connecting() -> None:
    async with connect() as connection:
        assert_type(connection, Connection)
        assert_type(connection.namespace, str)
        assert_type(connection.url, str)
        assert_type(connection.router, Router)
        assert_type(connection.running, int)
        assert_type(connection.performed, int)
    connection = connect("amqp://localhost/", namespace="images", heartbeat=10)
    assert_type(await connection.open(), Connection)
    assert_type(await connection.drain(grace=None), int)
    await connection.close()


async def serving() -> None:
    async with serve(
        "amqp://localhost/",
        namespace=["images", "default"],
        queues=("default", "gpu"),
        concurrency=10,
        threads=4,
        grace=datetime.timedelta(seconds=30),
        name="worker 1",
        tracebacks="names",
        heartbeat=10,
    ) as worker:
        assert_type(worker, Worker)
        assert_type(worker.name, str)
        assert_type(worker.running, int)
        assert_type(worker.performed, int)
        worker.close(grace=5)
        await worker.wait_closed()
    async with serve():
        pass


def running() -> None:
    assert_type(run(square(4)), str)
    assert_type(run(square(4), url="loopback://", namespace="default", debug=True), str)
    assert_type(asyncio.run(square(4)), str)


# -- within and around calls -------------------------------------------------------------------

user: ContextVar[str] = ContextVar("user")
propagate(user, ContextVar[int]("number"))


async def times() -> None:
    async with timeout(5) as scope:
        assert_type(scope, timeout)
        assert_type(scope.when(), float | None)
        assert_type(scope.expired(), bool)
    async with timeout(datetime.timedelta(minutes=1)), timeout(None):
        pass


def the_current_call() -> None:
    call = current_call()
    assert_type(call, Call | None)
    if call is not None:
        assert_type([call.id, call.task, call.namespace, call.queue], list[str])
        assert_type([call.root, call.worker], list[str])
        assert_type(call.parent, str | None)
        assert_type([call.depth, call.attempt], list[int])
        assert_type(call.deadline, float | None)


# -- errors ------------------------------------------------------------------------------------


async def failing() -> None:
    try:
        await square(4)
    except errors.NoWorkerError as exc:
        assert_type([exc.name, exc.queue, exc.namespace], list[str])
        assert_type(exc.grace, float)
    except errors.UnknownTaskError as exc:
        assert_type([exc.name, exc.namespace, exc.worker], list[str])
    except errors.WorkerLostError as exc:
        assert_type(exc.name, str)
        assert_type(exc.attempts, int)
    except errors.DeadlineError as exc:
        assert_type(exc.timeout, float)
        as_built_in: TimeoutError = exc
        raise as_built_in from None
    except errors.RecursionTooDeepError as exc:
        assert_type(exc.limit, int)
    except errors.RemoteError as exc:
        assert_type([exc.type_name, exc.text], list[str])
    except errors.TooLargeError as exc:
        assert_type([exc.size_bytes, exc.limit_bytes], list[int])
    except errors.NotConnectedError as exc:
        assert_type(exc.namespace, str)
    except errors.BadURLError as exc:
        assert_type(exc.url, str)
    except (errors.CallError, errors.CodecError, errors.UsageError, errors.ProtocolError) as exc:
        any_of_ours: errors.AtasksError = exc
        raise any_of_ours from None
    except (errors.ConnectionLostError, errors.OptionError, errors.RegisteredTwiceError):
        raise


# -- the explicit parts ------------------------------------------------------------------------


class ReversingCodec(Codec):
    """A codec of one's own."""

    name = "reversing"

    def encode(self, obj: Any) -> bytes:
        return repr(obj).encode()[::-1]

    def decode(self, content: bytes) -> Any:
        return content[::-1].decode()


class AsyncCodec(Codec):
    """One that waits."""

    async def encode(self, obj: Any) -> bytes:
        return repr(obj).encode()

    async def decode(self, content: bytes) -> Any:
        return content.decode()


def colour_of(text: Any) -> Colour:
    return Colour(text)


@register(name="colour", encode=str, decode=colour_of)
class Colour:
    def __init__(self, text: str) -> None:
        self.text = text


def codecs() -> None:
    for codec in (MsgpackCodec(), JsonCodec("a"), PickleCodec("b"), CloudpickleCodec("c")):
        assert_type(codec.namespace, str)
        assert_type(codec.name, str)
    compressed = CompressedCodec(MsgpackCodec(), "other", threshold=100, level=9, max_bytes=1000)
    encrypted = EncryptedCodec(compressed, "a key of one's own", "other")
    assert_type(encrypted.inner, Codec)
    EncryptedCodec(MsgpackCodec(), key=[b"the key of tomorrow", "the key of today"])
    EncryptedCodec(MsgpackCodec(), key=lambda: "the key of now")
    EncryptedCodec(MsgpackCodec(), 42)  # type: ignore[arg-type]
    signed = SignedCodec(encrypted, KeyRing(["the key of today", b"that of tomorrow"]), "other")
    assert_type(signed.inner, Codec)
    assert_type(signed.seal("other", signed.name), Seal)
    SignedCodec(MsgpackCodec(), key=lambda: ("the key of now", b"and another"))
    SignedCodec(MsgpackCodec(), 42)  # type: ignore[arg-type]
    PickleCodec(key="the key of now")
    PickleCodec(allow=["decimal.Decimal"])
    PickleCodec(allow=[Point])  # type: ignore[list-item]
    CloudpickleCodec("default", unsafe_no_signature=True, allow=("images", "decimal"))
    assert_type(KeyRing("the key of now").derive("mine").current.secret, bytes)
    assert_type(Seal().open(b"", b""), bytes | memoryview)
    ReversingCodec(namespace="default")
    AsyncCodec()
    assert_type(get_codec(), Codec | None)
    assert_type(get_codec("images"), Codec | None)
    assert_type(register(Point), type[Point])
    assert_type(Colour("red"), Colour)


class OwnTransport(Transport):
    """The three methods that are needed."""

    async def connect(self) -> None: ...

    async def disconnect(self) -> None: ...

    async def send_request(self, name: str, content: bytes) -> bytes:
        callback = self.callback
        return b"" if callback is None else await callback(name, content)


async def ask_vault() -> tuple[str, str]:
    return "user", "password"


async def transports() -> None:
    transport = AMQPTransport(
        "default",
        "amqp://localhost/",
        prefix="mine",
        queue_type="quorum",
        heartbeat=5,
        request_timeout=5.0,
        reply_expires=30,
        max_suspended=100,
        reconnect_delay=1.0,
        access_grace=10.0,
        credentials=lambda: ("user", "password"),
        unsafe_no_verify=False,
    )
    AMQPTransport(url=["amqp://a/", "amqp://b/"], credentials=ask_vault)
    await transport.connect()
    await transport.disconnect()
    LoopbackTransport(namespace="images", max_suspended=10)
    OwnTransport("own")
    assert_type(get_transport(), Transport | None)
    assert_type(get_transport("images"), Transport | None)


async def routers(transport: Transport) -> None:
    router = get_router()
    assert_type(router, Router)
    assert_type(get_router("images"), Router)
    await router.activate(transport, queues=["default", "gpu"], concurrency=10, threads=2)
    assert_type(router.is_performing, bool)
    assert_type([router.pending, router.performed, router.running], list[int])
    assert_type(await router.deactivate(grace=None), int)
    Router("images", name="w", max_depth=10, worker_grace=5.0, tracebacks="off")


def versions() -> None:
    assert_type(atasks_ng.__version__, str)
