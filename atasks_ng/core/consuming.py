"""The caller's side of an async generator: looks like a local one, asks for item after item."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from ..codecs.base import Codec
from ..places.registry import Task
from ..protocol import envelopes, failures
from ..protocol.calls import OutgoingCall
from ..protocol.streams import CLOSE, NEXT, SEND, THROW, Consumer
from ..protocol.tables import ENDED, PARKED
from ..words import errors
from ..words.options import TaskOptions
from . import context, payloads
from .outgoing import Outgoing


async def consume(
    connected: Callable[[], Outgoing],
    task: Task,
    options: TaskOptions,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> AsyncGenerator[Any, Any]:
    """
    Run an async generator on whatever worker gets it, one item at a time.

    Nothing happens before the first item is asked for; a local generator does not start before
    that either.
    """
    outgoing = connected()
    codec = outgoing.codec()
    if outgoing.transport.address is None:
        raise errors.UnsupportedError(
            f"{outgoing.transport!r} carries one answer for each request, so {task.name!r}, "
            "an async generator, cannot run over it: use another transport"
        )
    call = await outgoing.open(codec, task, options, args, kwargs)
    consuming = _Consuming(outgoing, codec, call)
    try:
        while (item := await consuming.next_item()) is not None:
            value = await payloads.decode(codec, item.payload, f"an item of {task.name!r}")
            try:
                sent = yield value
            except GeneratorExit:
                await consuming.close()
                raise
            except BaseException as exc:
                await consuming.throw(exc)
            else:
                if sent is not None:
                    await consuming.send(sent)
    finally:
        outgoing.abandon(call)


class _Consuming:
    """What the consumer of one stream knows and does."""

    def __init__(self, outgoing: Outgoing, codec: Codec, call: OutgoingCall) -> None:
        assert call.consumer is not None
        self._outgoing = outgoing
        self._codec = codec
        self._call = call
        self._consumer: Consumer = call.consumer
        self._thrown: BaseException | None = None
        #: Context variables as the producer knows them.
        self._known = context.snapshot()

    async def next_item(self) -> envelopes.Item | None:
        """Return the next item, or ``None`` at the end; raise what the generator raised."""
        outcome = await self._next_outcome()
        if type(outcome) is envelopes.Item:
            self._thrown = None
            return outcome
        if type(outcome) is envelopes.Value:
            await self._outgoing.settle_accounts(self._codec, self._call, outcome)
            return None
        exc = await self._outgoing.error(self._codec, outcome, self._call, self._thrown)
        self._thrown = None
        handled = failures.chained(exc, sys.exception())
        try:
            raise exc
        finally:
            # Raising put there what the caller is handling; what the callee was handling stays.
            failures.assign(exc, "__context__", handled)
            del exc, handled

    async def _next_outcome(self) -> Any:
        call, consumer = self._call, self._consumer
        while (item := consumer.take()) is None:
            if call.state is ENDED:
                return call.outcome
            changes = await self._changes()
            if call.state is PARKED:
                self._outgoing.ask(call, consumer.pull(call.id, NEXT, context=changes))
            outcome = await self._outgoing.wait(call)
            if type(outcome) is not envelopes.Item:
                return outcome
        if call.state is PARKED and consumer.owes_much:
            self._outgoing.give_credit(call, consumer.pull(call.id))
        if item.context or call.back is not None:
            await self._outgoing.settle_accounts(self._codec, call, item)
        if item.context:
            self._known = context.snapshot()
        return item

    async def send(self, value: Any) -> None:
        """Send a value in, to be what ``yield`` returns there."""
        call = self._call
        if self._consumer.window > 1:
            raise TypeError(
                f"{call.task!r} runs ahead of its consumer (window={self._consumer.window}), "
                "so nothing can be sent in; use window=1"
            )
        payload = await payloads.encode(self._codec, value, f"what was sent into {call.task!r}")
        changes = await self._changes()
        if call.state is PARKED:
            self._outgoing.ask(call, self._consumer.pull(call.id, SEND, payload, changes))

    async def throw(self, exc: BaseException) -> None:
        """Throw an exception in, at the ``yield`` there."""
        call = self._call
        self._consumer.discard()
        if call.state is not PARKED:
            call.outcome = exc  # it has ended; nobody is there to catch this
            return
        self._thrown = exc
        record = failures.describe(exc, "", "", tracebacks=self._outgoing.tracebacks)
        payload = await payloads.encode_failure(self._codec, record)
        changes = await self._changes()
        if call.state is PARKED:
            self._outgoing.ask(call, self._consumer.pull(call.id, THROW, payload, changes))

    async def close(self) -> None:
        """End the generator; its ``finally`` blocks have run when this returns."""
        call = self._call
        self._consumer.discard()
        changes = await self._changes()
        if call.state is not PARKED:
            return
        self._outgoing.ask(call, self._consumer.pull(call.id, CLOSE, context=changes))
        outcome = await self._outgoing.wait(call)
        if type(outcome) is envelopes.Value:
            await self._outgoing.settle_accounts(self._codec, call, outcome)
        # Who closes the connection has given up on the clean-up of what is left, too.
        elif outcome is not self._outgoing.closed_by:
            raise await self._outgoing.error(self._codec, outcome, call)

    async def _changes(self) -> envelopes.Baggage | None:
        """Return the context variables that were set since the last time."""
        if not context.is_needed():
            return None
        before, self._known = self._known, context.snapshot()
        return await context.pack(self._codec, before)
