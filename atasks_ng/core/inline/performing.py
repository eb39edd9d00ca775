"""
Calls without a copy: the caller awaits the body itself, which knows that it is a call all the same.

A transport that says ``copies = False`` is asked for nothing but whether it is connected. No codec,
envelope, slot or asyncio task stands between caller and body, so that cancelling, context
variables, exceptions and the order of steps are those of the function without its decorator.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import get_running_loop
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from ...places.current import deadline, running
from ...places.namespaces import Namespace
from ...places.registry import COROUTINE, Task
from ...words import errors, hooks
from ...words.options import Limits, TaskOptions
from ..consuming import consume
from ..executors import Executors
from ..incoming import Incoming
from ..outgoing import Outgoing, perform
from .calls import InlinedCall, in_time, tell_sent, told
from .steps import InlinedSteps, Steps, reset

logger = logging.getLogger("atasks_ng.worker")


class Inline:
    """
    The calls that one router both makes and performs, without a copy.

    Args:
        place: The namespace of the router.
        limits: Its bounds; of these, only the depth means anything here.
        connected: Returns what all other calls go through.
    """

    def __init__(self, place: Namespace, limits: Limits, connected: Callable[[], Outgoing]) -> None:
        self._place = place
        self._limits = limits
        self._connected = connected
        self._underway: Underway | None = None

    @property
    def running(self) -> int:
        """How many calls are under way."""
        return 0 if self._underway is None else self._underway.running

    def open(self, incoming: Incoming, threads: int) -> None:
        """
        Perform, from now on, what is called in the loop of a worker that copies nothing.

        Args:
            incoming: The worker.
            threads: How many plain functions run at once.
        """
        self._underway = Underway(incoming, threads)

    def close(self) -> None:
        """Perform nothing more; calls under way belong to those who await them, and go on."""
        self._underway = None

    async def wait_idle(self, grace: float | None) -> None:
        """Return when no call is under way, or after so many seconds; ``None`` sets no limit."""
        if self._underway is not None:
            await self._underway.wait_idle(grace)

    async def perform(
        self, task: Task, options: TaskOptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Await the body of a task. For the arguments see :func:`..outgoing.perform`."""
        underway = self._usable()
        if underway is None:
            return await perform(self._connected, task, options, args, kwargs)
        call = self._begin(underway, task, options)
        found = call.found
        underway.running += 1
        token = running.set(call)
        try:
            body: Any
            if found.kind is COROUTINE:
                body = found.function(*args, **kwargs)
            else:
                body = underway.executors.run(found, args, kwargs)
            # The body may let go of them before it ends.
            del args, kwargs
            if call.has_alarm:
                body = in_time(call, body)
            if hooks.listeners:
                body = told(call, body)
            return await body
        finally:
            reset(token)
            underway.leave()

    async def consume(
        self, task: Task, options: TaskOptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> AsyncGenerator[Any, Any]:
        """Run an async generator. For the arguments see :func:`..consuming.consume`."""
        underway = self._usable()
        if underway is None:
            steps = Steps(consume(self._connected, task, options, args, kwargs))
        else:
            call = self._begin(underway, task, options)
            steps = InlinedSteps(call, call.found.function(*args, **kwargs))
            underway.running += 1
        del args, kwargs
        try:
            while True:
                try:
                    value = await steps.next()
                except StopAsyncIteration:
                    return
                try:
                    steps.sent = yield value
                except BaseException as exc:
                    # Not thrown in from here, where it would become the context of whatever the
                    # generator raises later.
                    steps.thrown = exc
        finally:
            steps.end()
            if underway is not None:
                underway.leave()

    def _usable(self) -> Underway | None:
        """
        Return what performs calls here, or ``None`` if they must go the usual way.

        Raises:
            NotConnectedError: There is a transport for it, but it is not connected.
        """
        underway, transport = self._underway, self._place.transport
        if transport is None or transport.copies:
            return None
        if not transport.is_linked:
            raise errors.NotConnectedError(self._place.name)
        if underway is None:
            return None
        return underway if underway.loop is get_running_loop() else None

    def _begin(self, underway: Underway, task: Task, options: TaskOptions) -> InlinedCall:
        """Return a call that may run, or raise why it must not."""
        outer = running.get()
        found = self._place.registry.get(task.name)
        call = InlinedCall(found or task, options.queue, underway.worker, outer)
        if call.depth >= self._limits.max_depth:
            raise errors.RecursionTooDeepError(task.name, self._limits.max_depth)
        if hooks.listeners:
            tell_sent(call)
        if found is None:
            raise errors.UnknownTaskError(task.name, task.namespace, underway.worker)
        # Most calls have no limit, and need not know the time.
        if (
            options.timeout is not None
            or deadline.get() is not None
            or (outer is not None and outer.deadline is not None)
        ):
            call.limit(options.timeout)
        return call


class Underway:
    """
    The calls under way since a router was activated.

    Args:
        incoming: The worker that they count for.
        threads: How many plain functions run at once.
    """

    def __init__(self, incoming: Incoming, threads: int) -> None:
        self.loop = incoming.loop
        # Not the worker's, which takes its threads away from calls when it is closed. These end
        # when nobody can use them any more.
        self.executors = Executors(threads)
        self.worker = incoming.worker
        self.running = 0
        self._incoming = incoming
        #: There while somebody waits for the last call to end.
        self._idle: asyncio.Event | None = None

    def leave(self) -> None:
        """Count a call out."""
        self.running -= 1
        self._incoming.performed += 1
        if self._idle is not None and not self.running:
            self._idle.set()

    async def wait_idle(self, grace: float | None) -> None:
        """Return when no call is under way, or after so many seconds; ``None`` sets no limit."""
        if not self.running:
            return
        if self._idle is None or self._idle.is_set():
            self._idle = asyncio.Event()
        try:
            async with asyncio.timeout(grace):
                await self._idle.wait()
        except TimeoutError:
            logger.debug("%d calls go on in the asyncio tasks that await them", self.running)
