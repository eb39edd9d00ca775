"""A task may be an async generator; it runs no further ahead than its window."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from atasks_ng import atask, connect

produced: list[int] = []


@atask
async def numbers() -> AsyncIterator[int]:
    for i in range(100):
        produced.append(i)
        yield i


async def take_two(stream: AsyncIterator[int]) -> str:
    produced.clear()
    async with aclosing(stream):
        taken = [await anext(stream), await anext(stream)]
        await asyncio.sleep(0.1)  # busy with something else; the generator may run on
        return f"taken {len(taken)}, produced {len(produced)}"


async def main() -> None:
    async with connect("loopback://"):
        print("window 1:", await take_two(numbers()))
        print("window 8:", await take_two(numbers.options(window=8)()))


if __name__ == "__main__":
    asyncio.run(main())
