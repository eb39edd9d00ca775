"""Where bodies run: on the loop, or in a thread."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from ..places.registry import COROUTINE, PLAIN, Task


class Executors:
    """
    The places where the bodies of one worker run.

    Args:
        threads: How many plain functions may run at once, each in a thread.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None

    async def run(self, task: Task, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run the body of a task in the place it asks for; return or raise what it does."""
        if task.kind is COROUTINE:
            return await task.function(*args, **kwargs)
        if task.kind is PLAIN:
            value = await self._in_thread(task.function, args, kwargs)
        else:
            value = task.function(*args, **kwargs)
        return await value if inspect.isawaitable(value) else value

    def close(self) -> None:
        """Start no more threads; those that run are not waited for."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="atasks_ng")
        context = copy_context()

        def body() -> tuple[Any, BaseException | None]:
            # A future cannot carry StopIteration, and the loop must not see SystemExit.
            try:
                return context.run(function, *args, **kwargs), None
            except BaseException as exc:
                return None, exc

        loop = asyncio.get_running_loop()
        value, exc = await loop.run_in_executor(self._pool, body)
        if exc is not None:
            raise exc
        for var, new in context.items():
            if var.get(context) is not new:
                var.set(new)
        return value
