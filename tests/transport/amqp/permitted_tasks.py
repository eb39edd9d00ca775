"""What the workers of ``test_permissions`` perform."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from atasks_ng import atask


@atask(namespace="shop")
async def double(x: int) -> int:
    return 2 * x


@atask(namespace="shop", queue="gpu")
async def quadruple(x: int) -> int:
    """Call tasks of another queue."""
    return await double(await double(x))


@atask(namespace="shop")
async def meddle(x: int) -> int:
    """Call a task, though its worker is not permitted to."""
    return await quadruple(x)


@atask(namespace="shop")
async def doze(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@atask(namespace="shop", window=2)
async def count(to: int) -> AsyncIterator[int]:
    for number in range(to):
        yield number


@atask(namespace="shop", queue="gpu")
async def linger(folder: str) -> None:
    """Say when it begins, and when it is cancelled."""
    Path(folder, "begun").touch()
    try:
        await asyncio.sleep(600)
    finally:
        Path(folder, "ended").touch()
