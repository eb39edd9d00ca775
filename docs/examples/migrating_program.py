"""A program written for ATasks, with the name of the package changed and nothing else."""

import asyncio

from atasks_ng.codecs import PickleCodec
from atasks_ng.router import get_router
from atasks_ng.tasks import atask
from atasks_ng.transport.base import LoopbackTransport


@atask
async def some_task(a: int) -> int:
    return await some_other_task(a) + 1


@atask(name="some_other_name", timeout=30)
async def some_other_task(a: int) -> int:
    return 2 * a


async def aiomain(**options: object) -> None:
    print(await asyncio.gather(some_task(1), some_task(20)))


async def main() -> None:
    PickleCodec()
    transport = LoopbackTransport()
    await transport.connect()
    router = get_router()
    await router.activate(transport)
    try:
        await aiomain()
    finally:
        await router.deactivate()
        await transport.disconnect()


if __name__ == "__main__":
    asyncio.run(main())
