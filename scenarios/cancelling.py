"""A cancel travels: when the caller goes on, the callees' clean-up has run."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atasks_ng import atask


@contextmanager
def locked(file: Path) -> Iterator[None]:
    file.touch(exist_ok=False)
    try:
        yield
    finally:
        file.unlink()


@atask
async def hold(file: Path) -> None:
    with locked(file):
        await asyncio.sleep(60)


@atask
async def hold_all(*files: Path) -> None:
    async with asyncio.TaskGroup() as group:
        for file in files:
            group.create_task(hold(file))


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "left"), Path(folder, "right")
        call = asyncio.create_task(hold_all(*files))
        while len(os.listdir(folder)) < 2:  # noqa: ASYNC110 - another process makes them
            await asyncio.sleep(0.01)
        print("running:  ", sorted(os.listdir(folder)))

        call.cancel()
        await asyncio.wait([call])
        print("cancelled:", sorted(os.listdir(folder)))

        try:
            async with asyncio.timeout(0.5):
                await hold_all(*files)
        except TimeoutError:
            print("timed out:", sorted(os.listdir(folder)))
