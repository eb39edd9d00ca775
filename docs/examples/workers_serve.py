"""A worker inside a program of one's own."""

import asyncio

from atasks_ng import atask, current_call, serve


@atask
async def greet(name: str) -> str:
    return f"Hello, {name}, from {current_call().worker}."


@atask
async def wait(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "ended in its own time"


async def main() -> None:
    async with serve("loopback://", name="the clerk", concurrency=10, grace=5) as worker:
        print(await greet("Ann"))

        call = asyncio.create_task(wait(0.2))
        await asyncio.sleep(0.1)
        worker.close()  # what a signal does to a worker process
        await worker.wait_closed()
        print(await call)
    print(worker.performed, "performed,", worker.handed_back, "handed back")


if __name__ == "__main__":
    asyncio.run(main())
