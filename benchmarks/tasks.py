"""The tasks that measurements call."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from atasks_ng import atask

from .surroundings import resident_bytes


@atask
async def echo(value: Any) -> Any:
    """Return what was given."""
    return value


@atask
async def fan_out(width: int) -> int:
    """Await a number of calls at once."""
    return sum(await asyncio.gather(*(echo(1) for _ in range(width))))


@atask
async def fibonacci(n: int) -> int:
    """Return a Fibonacci number, by a tree of calls."""
    if n < 2:
        return n
    return sum(await asyncio.gather(fibonacci(n - 1), fibonacci(n - 2)))


@atask
async def descend(levels: int) -> int:
    """Return how many bytes the worker uses while so many calls wait, each for the next."""
    return await descend(levels - 1) if levels else resident_bytes()


@atask
async def hold(seconds: int) -> int:
    """Wait."""
    await asyncio.sleep(seconds)
    return seconds


@atask
async def count_up(steps: int) -> int:
    """Use the processor, and nothing else."""
    for _ in range(steps):
        pass
    return steps


@atask
async def wait_for_cancel() -> float:
    """Wait, and return when the cancel came, by the clock that all processes of a machine share."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
        return time.monotonic()
    raise RuntimeError("nobody cancelled it")


TASKS = {task.__name__: task for task in (echo, fan_out, fibonacci, descend, hold, count_up)}
