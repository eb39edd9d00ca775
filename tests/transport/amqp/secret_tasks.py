"""What the workers of ``test_secrets`` perform; nothing here logs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

from atasks_ng import atask

#: Does not occur by chance.
CANARY = "canary-5f1c09"

mood: ContextVar[Any] = ContextVar("mood_of_secrets")


class Odd(Exception):
    """Cannot be made anew from its ``args``, and has attributes."""

    def __init__(self, *, text: str) -> None:
        super().__init__(text)
        self.text = text


class Unfit:
    """Cannot travel."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"Unfit({self.text})"


@atask
async def echo(value: Any) -> Any:
    return value


@atask
async def fail(text: str) -> None:
    raise ValueError(text)


@atask
async def fail_oddly(text: str) -> None:
    raise Odd(text=text)


@atask
async def fail_in_a_group(text: str) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(fail(text))
        group.create_task(asyncio.sleep(60))


@atask
async def return_what_cannot_travel(text: str) -> Any:
    return Unfit(text)


@atask
async def change_mood(text: str) -> None:
    mood.set(Unfit(text))


@atask(max_attempts=2)
async def die(text: str) -> None:
    os._exit(1)


@atask
async def produce(text: str) -> AsyncIterator[str]:
    for _ in range(5):
        yield text
    raise ValueError(text)


@atask
async def linger(text: str) -> None:
    await asyncio.sleep(60)


@atask
async def refuse_to_end(text: str) -> str:
    """Swallow the cancel, and fail."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise ValueError(text) from None
    return text


@atask(executor="thread")
def fail_in_a_thread(text: str) -> None:
    raise ValueError(text)
