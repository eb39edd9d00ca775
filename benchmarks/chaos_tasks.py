"""A tree of calls, five deep, that writes down every start and end of a body."""

from __future__ import annotations

import asyncio
import os
import time

from atasks_ng import atask, current_call

LEDGER = "ATASKS_NG_CHAOS_LEDGER"


def _write(what: str) -> None:
    call = current_call()
    assert call is not None
    line = f"{what} {call.id} {call.attempt} {os.getpid()} {time.monotonic():.6f}\n"
    # One write of a short line to a file opened for appending: whole, whoever else writes.
    descriptor = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


@atask(max_attempts=1000)
async def tree(depth: int, width: int, pause: float) -> int:
    """Return the number of calls in a tree, each of them made."""
    _write("start")
    await asyncio.sleep(pause)
    count = 1
    if depth:
        children = [tree(depth - 1, width, pause) for _ in range(width)]
        count += sum(await asyncio.gather(*children))
    _write("end")
    return count


def size(depth: int, width: int) -> int:
    """Return what :func:`tree` must return."""
    return sum(width**level for level in range(depth + 1))
