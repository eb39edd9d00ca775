"""An async generator that runs on a worker, moved by pulls of its consumer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from ..codecs.base import Codec
from ..places import current
from ..places.registry import Task
from ..protocol import envelopes, failures
from ..protocol.streams import CLOSE, SEND, THROW, Producer
from ..words import errors
from ..words.ids import new_id
from . import context, payloads

if TYPE_CHECKING:
    from ..protocol.calls import IncomingCall
    from .incoming import Incoming


class UnfitItem(errors.EncodeError):
    """
    What was yielded cannot travel.

    Args:
        error: Why, as the consumer is told.
    """

    def __init__(self, error: errors.CodecError) -> None:
        super().__init__(error)
        self.error = error


class Producing:
    """
    One run of an async generator.

    Args:
        incoming: The worker's side that runs it.
        call: The call that asked for it.
        task: The task.
        codec: The codec of its items.
        brought: Context variables as the consumer sent them.
    """

    def __init__(
        self,
        incoming: Incoming,
        call: IncomingCall,
        task: Task,
        codec: Codec,
        brought: dict[str, Any],
    ) -> None:
        self._incoming = incoming
        self._call = call
        self._task = task
        self._codec = codec
        self._brought = brought
        self._more: asyncio.Future[None] | None = None
        self._context: Context = copy_context()
        self._back: Context | None = None
        self._producer = Producer(
            call.id, new_id(), incoming.transport.address or "", call.request.credit
        )
        call.producing = self

    async def run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Run the generator to its end; raise what it raises."""
        generator = self._task.function(*args, **kwargs)
        while True:
            step = self._producer.next_step()
            if step is None:
                await self._or_close(generator, self._wait_for_pull())
                continue
            if step.context:
                self._brought.update(await context.unpack(self._codec, step.context))
            if step.verb == CLOSE:
                await generator.aclose()
                return
            try:
                value = await self._advance(generator, step)
            except StopAsyncIteration:
                return
            await self._or_close(generator, self._send(value))

    async def _or_close(
        self, generator: AsyncGenerator[Any, Any], parked: Coroutine[Any, Any, None]
    ) -> None:
        """Do something while the generator is parked; should that fail, it ends there."""
        try:
            await parked
        except BaseException:
            await generator.aclose()
            raise

    async def _advance(self, generator: AsyncGenerator[Any, Any], step: envelopes.Pull) -> Any:
        if step.verb == THROW:
            what = "an exception to throw in"
            record = await payloads.decode(self._codec, step.payload, what)
            exc = self._call.thrown = failures.rebuild(record).with_traceback(None)
            return await generator.athrow(exc)
        sent = None
        if step.verb == SEND:
            sent = await payloads.decode(self._codec, step.payload, "a value sent in")
        return await generator.asend(sent)

    async def _send(self, value: Any) -> None:
        what = f"an item of {self._task.name!r}"
        try:
            payload = await payloads.encode(self._codec, value, what)
            self._incoming.check_size(payload, what)
        except errors.CodecError as exc:
            raise UnfitItem(exc) from exc
        baggage = None
        if context.is_needed():
            baggage = await context.pack(self._codec, self._brought)
            self._brought.clear()
            self._brought.update(context.snapshot())
        item = self._producer.yielded(payload, baggage)
        self._context = copy_context()
        self._call.delivery.say(self._incoming.encode(item), self._context)

    def repeat(self) -> None:
        """Say again what may have been lost with the link; the consumer drops what it has."""
        for item in self._producer.unseen:
            self._call.delivery.say(self._incoming.encode(item))

    def on_pull(self, pull: envelopes.Pull, back: Context | None) -> None:
        """Hear what the consumer asks for."""
        for item in self._producer.pulled(pull):
            self._call.delivery.say(self._incoming.encode(item))
        if back is not None:
            self._back = back
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    async def _wait_for_pull(self) -> None:
        """Wait for the consumer; whoever waits holds no slot."""
        held = current.slot.get()
        assert held is not None
        self._more = self._incoming.loop.create_future()
        held.lend()
        try:
            await self._more
        finally:
            self._more = None
            ready = held.reclaim()
            if ready is not None:
                await ready
        back, self._back = self._back, None
        if back is not None:
            context.absorb(self._context, back)
