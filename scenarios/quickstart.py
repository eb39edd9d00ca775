"""A task, awaited: the body runs on a worker, the caller writes what it would write anyway."""

from atasks_ng import atask


@atask
async def greet(name: str, *, mark: str = ".") -> str:
    return f"Hello, {name}{mark}"


async def main() -> None:
    print(await greet("world"))
    print(await greet("asyncio", mark="!"))
