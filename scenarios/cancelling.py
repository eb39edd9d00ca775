"""A cancel travels: the callee's clean-up has run when the caller goes on."""

import asyncio
import tempfile
from pathlib import Path

from atasks_ng import atask


@atask
async def hold(lock: Path) -> None:
    """Hold a lock file for a minute."""
    lock.touch(exist_ok=False)
    try:
        await asyncio.sleep(60)
    finally:
        lock.unlink()


@atask
async def hold_all(*locks: Path) -> None:
    async with asyncio.TaskGroup() as group:
        for lock in locks:
            group.create_task(hold(lock))


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        left, right = Path(folder, "left"), Path(folder, "right")
        call = asyncio.create_task(hold_all(left, right))
        while not (left.exists() and right.exists()):
            await asyncio.sleep(0.01)
        print("held:", sorted(path.name for path in Path(folder).iterdir()))

        call.cancel()
        await asyncio.wait([call])
        print("cancelled:", call.cancelled())
        print("held:", sorted(path.name for path in Path(folder).iterdir()))

        try:
            async with asyncio.timeout(0.5):
                await hold_all(left, right)
        except TimeoutError:
            print("timed out, held:", sorted(path.name for path in Path(folder).iterdir()))
