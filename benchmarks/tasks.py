"""The tasks that measurements call."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from atasks_ng import atask


@atask
async def echo(value: Any) -> Any:
    """Return what was given."""
    return value


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
