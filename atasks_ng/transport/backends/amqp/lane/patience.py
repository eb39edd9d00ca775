"""A limit for the broker's answers that a blocked event loop does not use up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

_SLICES = 4


async def is_answered(
    answer: asyncio.Future[Any], timeout: float, is_excused: Callable[[], bool]
) -> bool:
    """
    Wait for an answer; it is not cancelled.

    Args:
        answer: What is waited for.
        timeout: Longest wait in seconds. It begins anew while the broker is excused, and a loop
            that stands still uses up a quarter at most: the answer may wait in the socket.
        is_excused: True while the broker need not answer.

    Returns:
        Whether it came in time.
    """
    left = _SLICES
    while left:
        if (await asyncio.wait([answer], timeout=timeout / _SLICES))[0]:
            return True
        left = _SLICES if is_excused() else left - 1
    return False
