"""A cancel is awaited, may be shielded from, and may be swallowed."""

import asyncio
import tempfile
from pathlib import Path

from atasks_ng import atask, run


@atask
async def write(file: Path) -> None:
    file.write_text("begun")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError as exc:
        await asyncio.sleep(0.1)
        file.write_text(f"cleaned up: {exc}")
        raise


@atask
async def stubborn(file: Path) -> str:
    file.write_text("begun")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        asyncio.current_task().uncancel()
    return "swallowed it"


@atask
async def brief(file: Path) -> str:
    file.write_text("begun")
    await asyncio.sleep(0.2)
    return "not disturbed"


async def begun(file: Path) -> None:
    while not file.exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.01)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        call = asyncio.create_task(write(file := Path(folder, "write")))
        await begun(file)
        call.cancel("no longer needed")
        await asyncio.wait([call])
        print(call.cancelled(), "-", file.read_text())

        call = asyncio.create_task(stubborn(file := Path(folder, "stubborn")))
        await begun(file)
        call.cancel()
        print(await call)

        inner = asyncio.create_task(brief(file := Path(folder, "brief")))
        outer = asyncio.shield(inner)
        await begun(file)
        outer.cancel()
        print(await inner)


if __name__ == "__main__":
    run(main())
