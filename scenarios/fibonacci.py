"""Tasks that await themselves: a tree of nested calls, and no worker gets stuck in it."""

import asyncio

from atasks_ng import atask


@atask
async def fibonacci(n: int) -> int:
    if n < 2:
        return n
    return sum(await asyncio.gather(fibonacci(n - 1), fibonacci(n - 2)))


def size(n: int) -> int:
    return 1 if n < 2 else 1 + size(n - 1) + size(n - 2)


async def main(n: int = 10) -> None:
    print(f"fibonacci({n}) = {await fibonacci(n)}")
    print(f"that was a tree of {size(n):,} calls")
