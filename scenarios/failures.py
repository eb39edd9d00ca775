"""What a caller sees when a call fails: what it would see if the body ran here."""

import asyncio
import traceback
from collections.abc import Awaitable
from typing import Any

from atasks_ng import atask
from atasks_ng.places.namespaces import namespaces


@atask
async def invert(value: Any) -> Any:
    return 1 / value


@atask
async def invert_all(*values: Any) -> None:
    done = await asyncio.gather(*map(invert, values), return_exceptions=True)
    raise ExceptionGroup("some failed", [each for each in done if isinstance(each, Exception)])


sleep = atask(asyncio.sleep, name="sleep")
lost = atask(invert_all.__wrapped__, name="lost")
namespaces.get("default").registry.unregister("lost")  # as on a worker with an older module


async def show(what: str, call: Awaitable[object]) -> None:
    try:
        await call
    except (ArithmeticError, LookupError, TimeoutError, TypeError) as exc:
        builtin = next(cls for cls in type(exc).__mro__ if cls.__module__ == "builtins")
        print(f"{what}: {type(exc).__name__}, caught by `except {builtin.__name__}`")
        frame = traceback.extract_tb(exc.__traceback__)[-1]
        print(f"    raised in {frame.name}: {frame.line}\n" * (frame.filename == __file__), end="")


async def main() -> None:
    await show("an error of the task", invert(0))
    await show("a timeout of the call", sleep.options(timeout=0.2)(60))
    await show("a timeout of asyncio", asyncio.wait_for(sleep(60), 0.2))
    await show("a task no worker has", lost())
    await show("what cannot travel", invert(lambda: 1))
    try:
        await invert_all(4, 0, "two")
    except* TypeError as group:
        print("except* TypeError:", group.exceptions)
    except* ArithmeticError as group:
        print("except* ArithmeticError:", group.exceptions)
