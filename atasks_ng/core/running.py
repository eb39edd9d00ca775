"""Tasks from a program that has no event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from .connecting import connect

T = TypeVar("T")


def run(
    main: Coroutine[Any, Any, T],
    *,
    url: str | None = None,
    namespace: str = "default",
    debug: bool | None = None,
) -> T:
    """
    Run a coroutine in an event loop of its own, connected; return what it returns.

    It is ``asyncio.run`` with ``connect`` around it: ``run(square(4))`` is a whole program.

    Args:
        main: The coroutine; a call of a task is one, too.
        url: Where to connect; by default ``$ATASKS_NG_URL``, and without it ``loopback://``.
        namespace: The namespace to connect.
        debug: Whether the event loop runs in debug mode; ``None`` leaves it to asyncio.

    Returns:
        What the coroutine returns; what it raises is raised.

    Raises:
        TypeError: ``main`` is no coroutine.
        RuntimeError: An event loop is running in this thread; await the coroutine there.
        BadURLError, ConnectionLostError: The connection cannot be made.
    """
    if not asyncio.iscoroutine(main):
        raise TypeError(f"run() needs a coroutine, as in run(main()), not {main!r}")
    connected = _connected(main, url, namespace)
    try:
        return asyncio.run(connected, debug=debug)
    finally:
        # Where neither came to be awaited, Python would warn about them, beside the true error.
        connected.close()
        main.close()


async def _connected(main: Coroutine[Any, Any, T], url: str | None, namespace: str) -> T:
    async with connect(url, namespace=namespace):
        return await main
