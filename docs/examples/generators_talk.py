"""Values and exceptions go in, items come out, and the clean-up runs on every way out."""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from atasks_ng import atask, run


@atask
async def counter(file: Path) -> AsyncGenerator[int, int | None]:
    total = 0
    try:
        while True:
            try:
                total += (yield total) or 0
            except ZeroDivisionError:
                total = 0
    finally:
        file.write_text("closed")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "file")
        async with aclosing(counter(file)) as stream:
            print(await anext(stream))
            print(await stream.asend(5))
            print(await stream.asend(7))
            print(await stream.athrow(ZeroDivisionError()))
        print(file.read_text())


if __name__ == "__main__":
    run(main())
