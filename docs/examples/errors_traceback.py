"""One traceback, from the caller through every worker to the line that raised."""

import traceback
from pathlib import Path

from atasks_ng import atask, run


@atask
async def divide(a: int, b: int) -> float:
    return a / b


@atask
async def average(numbers: list[int]) -> float:
    return await divide(sum(numbers), len(numbers))


async def main() -> None:
    try:
        await average([])
    except ZeroDivisionError as exc:
        for frame in traceback.extract_tb(exc.__traceback__):
            if frame.filename.startswith("<worker "):
                print(f"on a worker, in the task {frame.name}")
            elif Path(frame.filename).name == Path(__file__).name:
                print(f"    {frame.name}: {frame.line}")
        print(repr(exc))


if __name__ == "__main__":
    run(main())
