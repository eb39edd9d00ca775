"""What is performed, for those that have no tasks of their own: each body is given what to call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .surroundings import resident_bytes

#: How one calls a body at a worker: by its name, with one value.
Calls = Mapping[str, Callable[[Any], Awaitable[Any]]]


async def echo(calls: Calls, value: Any) -> Any:
    """Return what was given."""
    return value


async def fan_out(calls: Calls, width: int) -> int:
    """Await a number of calls at once."""
    return sum(await asyncio.gather(*(calls["echo"](1) for _ in range(width))))


async def fibonacci(calls: Calls, n: int) -> int:
    """Return a Fibonacci number, by a tree of calls."""
    if n < 2:
        return n
    return sum(await asyncio.gather(calls["fibonacci"](n - 1), calls["fibonacci"](n - 2)))


async def descend(calls: Calls, levels: int) -> int:
    """Return how many bytes the worker uses while so many calls wait, each for the next."""
    return int(await calls["descend"](levels - 1)) if levels else resident_bytes()


async def hold(calls: Calls, seconds: int) -> int:
    """Wait."""
    await asyncio.sleep(seconds)
    return seconds


BODIES = {body.__name__: body for body in (echo, fan_out, fibonacci, descend, hold)}
