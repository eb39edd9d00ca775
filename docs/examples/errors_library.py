"""Errors of the library itself: what they are caught by, and what they say."""

import asyncio

from atasks_ng import atask, connect, errors
from atasks_ng.router import Router


@atask
async def echo(x: object) -> object:
    return x


@atask
async def forget() -> object:
    return object()


@atask
async def forever(depth: int = 0) -> None:
    await forever(depth + 1)


async def show(call: object) -> None:
    try:
        await call
    except errors.AtasksError as exc:
        bases = [base.__name__ for base in type(exc).__mro__ if base.__module__ == "builtins"]
        print(f"{type(exc).__name__}, a {bases[0]}:")
        print(f"    {exc}")


async def main() -> None:
    Router(max_depth=20)  # 10,000 if nothing else is said
    await show(echo(1))
    async with connect("loopback://"):
        await show(echo([1, print, 3]))
        await show(forget())
        await show(echo.options(timeout=0)(1))
        await show(forever())


if __name__ == "__main__":
    asyncio.run(main())
