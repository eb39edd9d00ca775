"""The tasks of test_guarantees.py; worker processes import them, too."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import atasks_ng

#: Which namespace the tasks are in: runs that share a broker must not perform each other's calls.
NAMESPACE_VARIABLE = "ATASKS_NG_GUARANTEES_NAMESPACE"
NAMESPACE = os.environ.get(NAMESPACE_VARIABLE, "guarantees")

atask = functools.partial(atasks_ng.atask, namespace=NAMESPACE)


class OutOfStock(Exception):
    def __init__(self, item: str, *, wanted: int) -> None:
        super().__init__(item)
        self.wanted = wanted


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    file.touch(exist_ok=False)
    try:
        yield
    finally:
        file.unlink()


@atask
async def echo(value: Any) -> Any:
    return value


@atask
async def add(x: int, *, y: int = 1) -> int:
    """Return the sum."""
    return x + y


@atask
async def unsendable() -> Any:
    return [object()]


@atask
async def take(item: str, wanted: int) -> None:
    try:
        {}[item]
    except KeyError as exc:
        error = OutOfStock(item, wanted=wanted)
        error.add_note("ask again on Monday")
        raise error from exc


@atask
async def take_all(items: list[str]) -> None:
    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(take(item, 1))


@atask
async def fibonacci(n: int) -> int:
    if n < 2:
        return n
    return sum(await asyncio.gather(fibonacci(n - 1), fibonacci(n - 2)))


@atask
async def descend(depth: int) -> int:
    return 0 if depth == 0 else 1 + await descend(depth - 1)


@atask
async def hold(file: Path) -> None:
    with locked(file):
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)


@atask
async def hold_below(file: Path, depth: int) -> None:
    await (hold_below(file, depth - 1) if depth else hold(file))


@atask
async def touch(file: Path) -> None:
    file.touch()


@atask
async def seconds_left(depth: int = 0) -> float | None:
    if depth:
        return await seconds_left(depth - 1)
    call = atasks_ng.current_call()
    assert call is not None
    if call.deadline is None:
        return None
    return call.deadline - asyncio.get_running_loop().time()


@atask
async def count(file: Path, n: int) -> AsyncIterator[int]:
    for i in range(n):
        with file.open("a") as lines:
            lines.write(f"{i}\n")
        yield i


@atask
async def work(file: Path, release: Path) -> int:
    """Write down who works, and return it when another file is there."""
    with file.open("a") as lines:
        lines.write(f"{os.getpid()}\n")
    while not release.exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.005)
    return os.getpid()


@atask
def block(file: Path, seconds: float) -> None:
    """Hold the only slot, whatever else is awaited."""
    file.touch()
    time.sleep(seconds)
