"""Which number below ten thousand takes longest to reach 1?"""

import asyncio


async def longest(start: int, stop: int) -> tuple[int, int]:
    """Return the most steps that a number of a range needs, and that number."""
    best = (0, 0)
    for number in range(start, stop):
        steps, n = 0, number
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            steps += 1
        best = max(best, (steps, number))
    return best


async def main() -> None:
    parts = [longest(start, start + 1_000) for start in range(1, 10_000, 1_000)]
    steps, number = max(await asyncio.gather(*parts))
    print(f"{number} needs {steps} steps")


if __name__ == "__main__":
    asyncio.run(main())
