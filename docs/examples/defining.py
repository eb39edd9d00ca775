"""The ways to make a task."""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass

from atasks_ng import atask, run


@atask
async def double(x: int) -> int:
    """A coroutine function."""
    return 2 * x


@atask(name="numbers.half", timeout=30)
async def half(x: int) -> float:
    """Options are arguments of the decorator, never of the call."""
    return x / 2


@atask
def where() -> bool:
    """A plain function: it runs in a thread of the worker."""
    return threading.current_thread() is threading.main_thread()


@atask
def later(x: int) -> Awaitable[int]:
    """A plain function that returns an awaitable: it runs on the loop, which awaits the rest."""
    return asyncio.sleep(0, x)


@atask
async def up_to(n: int) -> AsyncIterator[int]:
    """An async generator."""
    for i in range(n):
        yield i


@dataclass
class Shop:
    rate: float

    @atask
    async def total(self, price: float) -> float:
        """A method: the instance travels as the first argument."""
        return price * self.rate

    @atask
    @staticmethod
    async def name() -> str:
        return "corner shop"


# A function that somebody else wrote, or that is wrapped already, under a name of its own.
sleep = atask(asyncio.sleep, name="sleep")
power_of_two = atask(functools.partial(pow, 2), name="power_of_two")


async def main() -> None:
    print(await double(4), await half(4), await later(4), await power_of_two(4))
    print("in the main thread:", await where())
    print([i async for i in up_to(3)])
    print(await Shop(1.5).total(10), await Shop.name())
    print(double.__name__, double.__doc__, asyncio.iscoroutinefunction(double))
    print("the function itself, run here:", await double.__wrapped__(4))
    try:
        await double("four", times=2)
    except TypeError as exc:
        print("TypeError:", exc)


if __name__ == "__main__":
    run(main())
