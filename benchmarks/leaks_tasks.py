"""Tasks for the search for leaks: one that is interrupted, and one that tells what is kept."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import os

from atasks_ng import atask
from atasks_ng.router import get_router

from .surroundings import resident_bytes


@dataclasses.dataclass(frozen=True)
class Kept:
    """
    What a process keeps.

    Attributes:
        calls: Calls that it awaits, or holds for others.
        tasks: asyncio tasks.
        descriptors: Open files and sockets.
        memory_bytes: Memory in use.
    """

    calls: int
    tasks: int
    descriptors: int
    memory_bytes: int


def kept() -> Kept:
    """Return what this process keeps now, when all garbage is collected."""
    gc.collect()
    router = get_router()
    return Kept(
        router.pending + router.running,
        len(asyncio.all_tasks()),
        len(os.listdir("/proc/self/fd")),
        resident_bytes(),
    )


@atask
async def nap(seconds: float) -> float:
    """Sleep, and return how long."""
    await asyncio.sleep(seconds)
    return seconds


@atask
async def kept_by_worker() -> Kept:
    """Return what the worker keeps; this call is one of it, and has an asyncio task."""
    return kept()
