"""An async generator that another one stands for, step by step."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable
from contextvars import Token
from typing import Any

from ...places.current import Running, running
from ...words import errors, hooks
from .calls import InlinedCall, in_time, tell_begun, tell_ended


class Steps:
    """
    The steps of an async generator. What is thrown or sent in is put down before the next one.

    Args:
        generator: The generator, which nobody has begun.

    Attributes:
        sent: What ``yield`` returns there.
        thrown: What it raises there, or ``None``.
    """

    def __init__(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._generator = generator
        self._has_begun = False
        self.sent: Any = None
        self.thrown: BaseException | None = None

    async def next(self) -> Any:
        """Return the next item; raise what the generator raises, and at its end."""
        return await self._advance()

    def end(self) -> None:
        """There is no next step."""

    def _advance(self) -> Awaitable[Any]:
        sent, thrown = self.sent, self.thrown
        # Not kept: an exception would be kept alive by its own frames.
        self.sent = self.thrown = None
        if thrown is not None:
            return self._generator.athrow(thrown)
        if self._has_begun:
            return self._generator.asend(sent)
        self._has_begun = True
        # The event loop closes the one that stands for it, and must not close both at once.
        kept = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)
        try:
            return self._generator.asend(None)
        finally:
            sys.set_asyncgen_hooks(*kept)


class InlinedSteps(Steps):
    """
    The steps of an async generator that is a call.

    Args:
        call: The call.
        generator: As for :class:`Steps`.
    """

    def __init__(self, call: InlinedCall, generator: AsyncGenerator[Any, Any]) -> None:
        super().__init__(generator)
        self._call = call
        self._outcome = "failure"
        self._begun = tell_begun(call) if hooks.listeners else None

    async def next(self) -> Any:
        """As for :class:`Steps`, or raise ``DeadlineError``; the generator is closed then."""
        token = running.set(self._call)
        try:
            return await self._next()
        except (StopAsyncIteration, GeneratorExit):
            self._outcome = "value"
            raise
        except errors.DeadlineError:
            if self._call.is_expired:
                await self._generator.aclose()
            raise
        finally:
            reset(token)

    async def _next(self) -> Any:
        # Closing it is what a deadline would do.
        if not self._call.has_alarm or isinstance(self.thrown, GeneratorExit):
            return await self._advance()
        if self._call.is_over():
            self._call.is_expired = True
            raise self._call.error()
        return await in_time(self._call, self._advance())

    def end(self) -> None:
        if self._begun is not None:
            tell_ended(self._call, self._outcome, self._begun)


def reset(token: Token[Running | None]) -> None:
    """Make the outer call the current one again."""
    # Not contextlib.suppress(): each call comes here, and none that ends in its context raises.
    try:  # noqa: SIM105
        running.reset(token)
    except ValueError:
        # It is closed by whoever collects what was left of a loop; its own context is gone.
        pass
