"""The tasks of the contract. What they did can be read in the journal, wherever they ran."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable
from typing import Any

from atasks_ng import atask, current_call

#: Pages of notes; a test has a page of its own.
journal: defaultdict[str, list[str]] = defaultdict(list)

#: A context variable that travels; the tests and the worker process say so.
travelling = contextvars.ContextVar[str]("tests_travelling")

LONG = 60.0


# -- what happened -------------------------------------------------------------------------------


def note(key: str, text: str) -> None:
    journal[key].append(text)


@atask
async def notes(key: str) -> list[str]:
    """Return what was noted on a page."""
    return journal[key]


@atask
async def process_id() -> int:
    return os.getpid()


# -- values and failures -------------------------------------------------------------------------


@atask
async def echo(value: Any = None) -> Any:
    return value


@atask
async def arguments(*args: Any, **kwargs: Any) -> list[Any]:
    return [list(args), kwargs]


@atask
async def add(a: int, b: int = 1, *, c: int = 0) -> int:
    """Add numbers."""
    return a + b + c


@atask
async def divide(a: float, b: float) -> float:
    return a / b


class OutOfStock(Exception):
    """An exception of a user, with a constructor of its own."""

    def __init__(self, item: str, *, wanted: int) -> None:
        super().__init__(f"no {wanted} of {item}")
        self.item = item
        self.wanted = wanted


@atask
async def buy(item: str, wanted: int) -> None:
    raise OutOfStock(item, wanted=wanted)


@atask
async def fail_with_notes() -> None:
    exc = ValueError("wrong")
    exc.add_note("first")
    exc.add_note("second")
    raise exc


@atask
async def fail_with_cause() -> None:
    try:
        raise KeyError("below")
    except KeyError as exc:
        raise RuntimeError("above") from exc


@atask
async def fail_while_handling() -> None:
    try:
        raise KeyError("first")
    except KeyError:
        raise RuntimeError("second")  # noqa: B904  (the context is what is looked at)


@atask
async def fail_with_group() -> None:
    raise ExceptionGroup("both", [ValueError(1), ExceptionGroup("inner", [KeyError("k")])])


class Unfit:
    """No codec takes it: a lock inside."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Unspeakable(Unfit):
    """Nor can anybody say what it is."""

    def __repr__(self) -> str:
        raise RuntimeError("unspeakable")


@atask
async def fail_with_unfit(unspeakable: bool) -> None:
    raise ValueError("carries", Unspeakable() if unspeakable else Unfit())


@atask
async def return_unfit() -> Any:
    return Unfit()


class Quitter:
    """Ends the process of whoever encodes or decodes it."""

    def __init__(self, when: str) -> None:
        self.when = when

    def __getstate__(self) -> dict[str, str]:
        if self.when == "encoding":
            raise SystemExit("encoded")
        return self.__dict__

    def __setstate__(self, state: dict[str, str]) -> None:
        raise SystemExit("decoded")


@atask
async def return_quitter() -> Any:
    return Quitter("encoding")


class Mute(Exception):
    """An exception that breaks whoever looks at it."""

    def __str__(self) -> str:
        raise RuntimeError("mute")

    __repr__ = __str__


@atask
async def fail_mute() -> None:
    raise Mute


class Shapeless(Exception):
    """An exception whose arguments are none."""

    args = None  # type: ignore[assignment]


@atask
async def fail_shapeless() -> None:
    raise Shapeless


def fail_locally() -> None:
    class Local(Exception):
        """Nobody else can import this."""

    raise Local("from inside", 7)


@atask
async def fail_with_local_class() -> None:
    fail_locally()


EXITS = {
    each.__name__: each
    for each in (SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError)
}


@atask
async def leave(name: str) -> None:
    raise EXITS[name]("bye")


@atask
async def fail_with_text(text: str) -> None:
    raise ValueError(text)


# -- kinds of function ---------------------------------------------------------------------------


@atask
def name_of_thread() -> str:
    return threading.current_thread().name


@atask
def block(seconds: float) -> str:
    time.sleep(seconds)
    return threading.current_thread().name


@atask
def divide_in_thread(a: float, b: float) -> float:
    return a / b


@atask
def stop_iteration() -> None:
    raise StopIteration("in a thread")


async def answer() -> str:
    return threading.current_thread().name


@atask
def promises() -> Awaitable[str]:
    return asyncio.ensure_future(answer())


@atask(executor="loop")
def on_the_loop() -> Any:
    return asyncio.ensure_future(answer())


@atask
def returns_coroutine() -> Any:
    return answer()


class Account:
    """A class with tasks for methods; its instances travel where the codec takes them."""

    rate = 2

    def __init__(self, balance: int) -> None:
        self.balance = balance

    @atask
    async def interest(self, years: int) -> int:
        return self.balance * self.rate * years

    @staticmethod
    @atask
    async def currency() -> str:
        return "EUR"

    @atask
    @staticmethod
    async def symbol() -> str:
        return "€"

    @classmethod
    @atask
    async def rate_of(cls, years: int) -> int:
        return cls.rate * years

    @atask
    @classmethod
    async def name_of(cls) -> str:
        return cls.__name__


# -- calls in calls ------------------------------------------------------------------------------


@atask
async def descend(depth: int) -> int:
    return 0 if depth == 0 else 1 + await descend(depth - 1)


@atask
async def fibonacci(n: int) -> int:
    if n < 2:
        return n
    return sum(await asyncio.gather(fibonacci(n - 1), fibonacci(n - 2)))


@atask
async def relay(name: str, *args: Any) -> Any:
    """Await another task of this module."""
    return await globals()[name](*args)


@atask
async def hold_two_lines(key: str, rounds: int) -> int:
    """Make calls from two tasks at once, again and again."""

    async def line() -> int:
        return sum([await add(number, 0) for number in range(rounds)])

    return sum(await asyncio.gather(line(), line(), line()))


@atask
async def describe() -> dict[str, Any]:
    """Return what the body sees of its own call."""
    call = current_call()
    assert call is not None
    return {
        "id": call.id,
        "task": call.task,
        "namespace": call.namespace,
        "queue": call.queue,
        "parent": call.parent,
        "root": call.root,
        "depth": call.depth,
        "attempt": call.attempt,
        "has_deadline": call.deadline is not None,
        "worker": call.worker,
    }


@atask
async def describe_with_child() -> list[dict[str, Any]]:
    return [await describe(), await describe.__wrapped__()]


@atask
async def time_left() -> float | None:
    call = current_call()
    assert call is not None
    if call.deadline is None:
        return None
    return call.deadline - asyncio.get_running_loop().time()


# -- running and ending --------------------------------------------------------------------------


@atask
async def hang(key: str, clean_up: float = 0.0) -> None:
    """Run until cancelled, and take some time for that."""
    note(key, "started")
    try:
        await asyncio.sleep(LONG)
    except asyncio.CancelledError as exc:
        note(key, f"cancelled {exc.args}")
        raise
    finally:
        await asyncio.sleep(clean_up)
        note(key, "cleaned up")


@atask
async def hang_in_child(key: str) -> None:
    note(key, "parent started")
    try:
        await hang(key)
    finally:
        note(key, "parent cleaned up")


@atask
async def refuse_to_end(key: str) -> str:
    """Swallow the cancellation and return."""
    note(key, "started")
    try:
        await asyncio.sleep(LONG)
    except asyncio.CancelledError:
        return "not now"
    return "never"


@atask
async def convert_cancel(key: str) -> None:
    """Turn the cancellation into another exception."""
    note(key, "started")
    try:
        await asyncio.sleep(LONG)
    except asyncio.CancelledError as exc:
        raise ConnectionError("closed") from exc


@atask
async def pause(seconds: float, result: Any = None) -> Any:
    await asyncio.sleep(seconds)
    return result


gates: dict[str, asyncio.Event] = {}


@atask
async def wait_at_gate(key: str, name: str = "") -> str:
    """Hold a slot until the gate is opened."""
    note(key, f"{name} started")
    gate = gates.setdefault(key, asyncio.Event())
    await gate.wait()
    note(key, f"{name} ended")
    return name


_running: defaultdict[str, int] = defaultdict(int)


@atask
async def count_together(key: str) -> int:
    """Return how many calls of this page run at once."""
    _running[key] += 1
    await asyncio.sleep(0.002)
    together = _running[key]
    _running[key] -= 1
    return together


# -- streams -------------------------------------------------------------------------------------


@atask
async def count_up(n: int, key: str = "") -> AsyncGenerator[int, None]:
    try:
        for number in range(n):
            note(key, f"at {number}")
            yield number
    finally:
        note(key, "closed")


@atask
async def parrot(key: str) -> AsyncGenerator[Any, Any]:
    """Yield what is sent in, and what was thrown in."""
    said: Any = "hello"
    while True:
        try:
            said = yield said
        except ValueError as exc:
            said = f"caught {exc}"


@atask
async def fail_after(n: int) -> AsyncGenerator[int, None]:
    for number in range(n):
        yield number
    raise LookupError("no more", n)


@atask
async def yield_unfit(key: str) -> AsyncGenerator[Any, None]:
    try:
        yield 1
        yield Unfit()
    finally:
        note(key, "closed")


@atask
async def yield_much(key: str, size: int) -> AsyncGenerator[Any, None]:
    try:
        yield 1
        yield b"x" * size
    finally:
        note(key, "closed")


@atask
async def stream_of_calls(n: int) -> AsyncGenerator[int, None]:
    for number in range(n):
        yield await add(number, 10)


@atask
async def sum_stream(n: int) -> int:
    return sum([number async for number in count_up(n)])


@atask
async def slow_stream(key: str) -> AsyncGenerator[int, None]:
    try:
        yield 1
        note(key, "waiting")
        await asyncio.sleep(LONG)
        yield 2
    finally:
        note(key, "closed")


# -- context variables ---------------------------------------------------------------------------

staying = contextvars.ContextVar[str]("tests_staying", default="unset")


@atask
async def read_variables() -> list[str]:
    return [travelling.get("unset"), staying.get()]


@atask
async def set_variables(value: str) -> None:
    travelling.set(value)
    staying.set(value)


@atask
def set_variables_in_thread(value: str) -> None:
    travelling.set(value)
    staying.set(value)


@atask
async def read_in_child() -> list[str]:
    return await read_variables()


@atask
async def stream_variables(n: int) -> AsyncGenerator[str, None]:
    for number in range(n):
        seen = travelling.get("unset")
        travelling.set(f"item {number}")
        yield seen


# -- arguments that are checked ------------------------------------------------------------------


@atask(validate=True)
async def scale(key: str, numbers: list[int], *, by: float | None = None) -> list[float]:
    note(key, "scaled")
    return [number * (by or 1) for number in numbers]


@atask(validate=True)
def scale_in_thread(key: str, numbers: list[int]) -> int:
    note(key, "scaled")
    return sum(numbers)


@atask(validate=True)
async def scale_stream(key: str, numbers: list[int]) -> AsyncGenerator[int, None]:
    note(key, "scaled")
    for number in numbers:
        yield number
