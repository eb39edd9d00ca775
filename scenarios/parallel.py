"""Many calls at once: asyncio.gather and TaskGroup over tasks, as over coroutines."""

import asyncio
from math import isqrt

from atasks_ng import atask


@atask
async def primes(start: int, stop: int) -> list[int]:
    """Return the primes from start up to, not including, stop."""
    return [n for n in range(max(2, start), stop) if all(n % d for d in range(2, isqrt(n) + 1))]


async def main(stop: int = 20_000, step: int = 2_500) -> None:
    starts = range(0, stop, step)
    parts = await asyncio.gather(*[primes(start, start + step) for start in starts])
    for start, part in zip(starts, parts, strict=True):
        print(f"{len(part):4} primes from {start:6,} on, the last is {part[-1]:,}")
    print(f"{sum(map(len, parts)):4} primes in all")

    async with asyncio.TaskGroup() as group:
        near = group.create_task(primes(1_000, 1_020))
        far = group.create_task(primes(1_000_000, 1_000_040))
    print(f"after a thousand: {near.result()}")
    print(f"after a million:  {far.result()}")
