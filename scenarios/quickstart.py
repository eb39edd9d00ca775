"""A task, awaited: the body runs on a worker, and the call is written as any other."""

from atasks_ng import atask


@atask
async def greet(name: str, *, mark: str = ".") -> str:
    return f"Hello, {name}{mark}"


async def main() -> None:
    print(await greet("world"))
    print(await greet("asyncio", mark="!"))
