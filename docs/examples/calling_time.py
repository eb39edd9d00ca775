"""Deadlines travel as the time that is left, and nested calls take the nearest one."""

import asyncio
import math

import atasks_ng
from atasks_ng import atask, current_call, run


@atask
async def left() -> float | None:
    """Return how many seconds this call has left; None: there is no limit."""
    deadline = current_call().deadline
    return None if deadline is None else deadline - asyncio.get_running_loop().time()


@atask
async def left_below() -> float | None:
    await asyncio.sleep(0.1)
    return await left.options(timeout=60)()


async def main() -> None:
    print("no limit:", await left())
    print("timeout= of the task:", math.ceil(await left.options(timeout=60)()))
    async with atasks_ng.timeout(20):
        print("a timeout that travels:", math.ceil(await left()))
        print("two calls away, less what is spent:", await left_below() < 19.9)
    async with asyncio.timeout(20):
        print("asyncio.timeout does not travel, its cancel does:", await left())


if __name__ == "__main__":
    run(main())
