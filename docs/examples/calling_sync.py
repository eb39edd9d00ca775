"""A program without an event loop calls a task."""

from atasks_ng import atask, run


@atask
async def square(x: int) -> int:
    return x * x


if __name__ == "__main__":
    print(run(square(4)))
