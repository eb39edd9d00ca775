"""What a body can know about its call."""

import asyncio

from atasks_ng import atask, current_call, run


@atask
async def inner() -> tuple[str, str, int]:
    call = current_call()
    return call.parent, call.root, call.depth


@atask
async def outer() -> bool:
    call = current_call()
    parent, root, depth = await inner()
    return (parent, root, depth) == (call.id, call.id, call.depth + 1)


@atask(name="describe")
async def describe() -> str:
    call = current_call()
    return f"{call.task} of {call.namespace}, queue {call.queue}, attempt {call.attempt}"


async def main() -> None:
    print(await describe())
    print("parent, root and depth fit:", await outer())
    print("outside of any task:", current_call())
    ids = await asyncio.gather(*[identity() for _ in range(3)])
    print("distinct identities:", len(set(ids)), "of", len(ids[0]), "digits")


@atask
async def identity() -> str:
    return current_call().id


if __name__ == "__main__":
    run(main())
