"""A named context variable travels to the callee and its callees, and back with the answer."""

import asyncio
from contextvars import ContextVar

from atasks_ng import atask, propagate, run

user: ContextVar[str] = ContextVar("user", default="nobody")
propagate(user)


@atask
async def who() -> str:
    return user.get()


@atask
async def rename(name: str) -> str:
    before = await who()
    user.set(name)
    return before


async def main() -> None:
    user.set("ann")
    print("two calls away:", await rename("bob"))
    print("set by the callee:", user.get())
    await asyncio.create_task(rename("eve"))
    print("set within a task of its own, hence in a copy:", user.get())


if __name__ == "__main__":
    run(main())
