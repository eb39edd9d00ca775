"""How much a worker tells of where a task failed is an option of the worker."""

import asyncio
import traceback
from pathlib import Path

from atasks_ng import atask, serve


@atask
async def divide(a: int, b: int) -> float:
    return a / b


async def main() -> None:
    for how in ("full", "names", "off"):
        async with serve("loopback://", name="left", tracebacks=how):
            try:
                await divide(1, 0)
            except ZeroDivisionError as exc:
                last = traceback.extract_tb(exc.__traceback__)[-1]
                place = Path(last.filename).name
                print(f"{how:5}  {place}, line {last.lineno}, in {last.name}: {last.line!r}")


if __name__ == "__main__":
    asyncio.run(main())
