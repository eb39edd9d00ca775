"""What a failing and a late call look like: as they would in one process."""

import asyncio
import math

from atasks_ng import atask, run

sleep = atask(asyncio.sleep, name="sleep")


@atask
async def root(x: float) -> float:
    return math.sqrt(x)


@atask
async def roots(*numbers: float) -> list[float]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(root(x)) for x in numbers]
    return [task.result() for task in tasks]


async def main() -> None:
    print(await roots(1, 4, 9))
    try:
        await roots(1, -4, 9)
    except* ValueError as group:
        print("two calls away:", group.exceptions)
    try:
        async with asyncio.timeout(0.2):
            await sleep(60)
    except TimeoutError:
        print("timed out")


if __name__ == "__main__":
    run(main())
