"""A task that awaits tasks, and a plain function as a task."""

import asyncio

from atasks_ng import atask, run


@atask
def longest(start: int, stop: int) -> tuple[int, int]:
    """Return the most steps that a number of a range needs, and that number."""
    best = (0, 0)
    for number in range(start, stop):
        steps, n = 0, number
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            steps += 1
        best = max(best, (steps, number))
    return best


@atask
async def search(stop: int, step: int) -> tuple[int, int]:
    """Return the same for all numbers below a bound."""
    return max(await asyncio.gather(*[longest(n, n + step) for n in range(1, stop, step)]))


async def main() -> None:
    steps, number = await search(10_000, 1_000)
    print(f"{number} needs {steps} steps")


if __name__ == "__main__":
    run(main())
