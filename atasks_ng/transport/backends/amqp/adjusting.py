"""Widens windows as soon as they are too narrow, and narrows them now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from aiormq.exceptions import AMQPError

from .session import Session
from .windows import Window

logger = logging.getLogger("atasks_ng.amqp")

# How often windows that have become too wide are narrowed, in seconds.
_NARROW_EVERY = 1.0


class Adjuster:
    """
    Keeps the windows of a process as wide as they should be.

    Args:
        session: Returns the session of now, or ``None``.
        windows: Returns all windows.
    """

    def __init__(
        self, session: Callable[[], Session | None], windows: Callable[[], Iterable[Window]]
    ) -> None:
        self._session = session
        self._windows = windows
        self._stirred = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="atasks_ng windows")

    def stir(self) -> None:
        """Some window is too narrow."""
        self._stirred.set()

    async def stop(self) -> None:
        """Adjust nothing any more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        narrow_at = loop.time() + _NARROW_EVERY
        while True:
            try:
                async with asyncio.timeout_at(narrow_at):
                    await self._stirred.wait()
            except TimeoutError:
                pass
            self._stirred.clear()
            shrink = loop.time() >= narrow_at
            if shrink:
                narrow_at = loop.time() + _NARROW_EVERY
            await self._adjust(shrink)

    async def _adjust(self, shrink: bool) -> None:
        session = self._session()
        if session is None or session.lost.done():
            return
        try:
            for window in list(self._windows()):
                await session.adjust(window, shrink=shrink)
        except (AMQPError, OSError, RuntimeError, TimeoutError) as exc:
            logger.debug("adjusting windows: %r", exc)
