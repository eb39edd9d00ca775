"""The caller's side: encode, post, wait, and give the caller what the callee ended with."""

from __future__ import annotations

import asyncio
import logging
import math
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context, copy_context
from typing import Any

from ..codecs.base import Codec
from ..places.current import Slot, deadline, running, slot
from ..places.namespaces import Namespace
from ..places.registry import STREAM, Task
from ..protocol import envelopes, failures
from ..protocol.actions import (
    Action,
    Deliver,
    End,
    Send,
    SendCancel,
    SendPull,
    SendTell,
    SendWho,
    Warn,
)
from ..protocol.caller import Caller
from ..protocol.calls import CallerTimes, OutgoingCall
from ..protocol.streams import Consumer
from ..protocol.tables import CANCELLING, ENDED, OPEN
from ..transport.base import NESTED, PROCESS, ROOT, WORKERS, Message, Transport
from ..words import errors, hooks
from ..words.ids import new_id
from ..words.options import Limits, TaskOptions
from ..words.reasons import Told
from . import context, payloads
from .inflight import InFlight

logger = logging.getLogger("atasks_ng.caller")

# Longest time to live that is told, in seconds: it must fit 64 bits, and nobody will wait for it.
_LONGEST = 2.0**40

# How often, in seconds, the caller looks for calls that nobody says anything about, at least.
_SWEEP_EVERY = 5.0


class Outgoing:
    """
    The calls that one process makes through one transport.

    Args:
        namespace: Whose codec is used.
        transport: A connected transport.
        times: Patience of the caller.
        limits: Bounds of what it may ask for.
        tracebacks: What workers are told of where an exception was raised that is thrown into a
            generator of theirs.
    """

    def __init__(
        self,
        namespace: Namespace,
        transport: Transport,
        times: CallerTimes,
        limits: Limits,
        tracebacks: str,
    ) -> None:
        self.transport = transport
        self._encode = envelopes.encode_in_pieces if transport.takes_pieces else envelopes.encode
        self.tracebacks = tracebacks
        self.loop = asyncio.get_running_loop()
        self._namespace = namespace
        self._limits = limits
        self._told = Told(self.loop.time)
        self.in_flight = InFlight(limits.max_in_flight, limits.max_in_flight_bytes)
        self._caller = Caller(times)
        self._sweep_every = min(_SWEEP_EVERY, times.warn_after, times.worker_grace)
        self._looking: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        #: What :meth:`close` ended the calls with.
        self.closed_by: BaseException | None = None

    @property
    def pending(self) -> int:
        """How many calls are awaited."""
        return len(self._caller.calls)

    # -- opening -------------------------------------------------------------------------------

    def codec(self) -> Codec:
        """Return the codec of the namespace."""
        codec = self._namespace.codec
        if codec is None:
            raise errors.NoCodecError(self._namespace.name)
        return codec

    async def open(
        self,
        codec: Codec,
        task: Task,
        options: TaskOptions,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> OutgoingCall:
        """Encode a call, enter it into the table and post it."""
        outer = running.get()
        depth = 0 if outer is None else outer.request.depth + 1
        if depth >= self._limits.max_depth:
            raise errors.RecursionTooDeepError(task.name, self._limits.max_depth)
        content = payloads.encode_nowait(codec, (args, kwargs), task.shown_arguments)
        if not isinstance(content, bytes):
            content = await content
        limit = self._limits.max_payload_bytes
        if limit is not None and len(content) > limit:
            raise payloads.too_large(content, limit, task.shown_arguments, "caller")
        baggage = await context.pack(codec) if context.is_needed() else None
        id = new_id()
        call = OutgoingCall(
            id,
            task.name,
            task.namespace,
            options.queue,
            rerun=options.ack == "late",
            max_attempts=options.max_attempts,
            nested=outer is not None,
        )
        if task.kind is STREAM:
            call.consumer = Consumer(options.window)
        inherited, scope = None if outer is None else outer.deadline, deadline.get()
        ttl_ms = None
        if not (options.timeout is None and inherited is None and scope is None):
            ttl_ms = self._set_deadline(call, options.timeout, inherited, scope)
        request = envelopes.Request(
            id,
            task.name,
            codec.name,
            ttl_ms,
            depth,
            outer.id if outer else None,
            outer.request.root if outer else id,
            options.window if task.kind is STREAM else 0,
            1,
            int(call.rerun),
            baggage,
            content,
        )
        call.message = Message(
            NESTED if outer else ROOT,
            options.queue,
            id,
            self._encode(request),
            task.name,
            ttl_ms,
            copy_context() if self.transport.shares_context else None,
        )
        self._caller.open(call, self.loop.time())
        if call.deadline is not None:
            self._set_timer()
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(self._sweep_every, self._sweep)
        try:
            self.transport.post(call.message)
        except BaseException:
            del self._caller.calls[id]
            call.state = ENDED
            raise
        if hooks.listeners:
            hooks.emit(hooks.CallSent(id, task.name, task.namespace, options.queue))
        return call

    def _set_deadline(
        self,
        call: OutgoingCall,
        timeout: float | None,
        inherited: float | None,
        scope: float | None,
    ) -> int:
        now = self.loop.time()
        limits = [when for when in (inherited, scope) if when is not None]
        if timeout is not None:
            limits.append(now + timeout)
        nearest = min(limits)
        # A scope ends the call by cancelling it; an alarm of our own would race with that.
        if nearest != scope:
            call.deadline = nearest
            call.timeout = nearest - now
        return _milliseconds(nearest - now)

    # -- waiting -------------------------------------------------------------------------------

    def wait(self, call: OutgoingCall) -> Coroutine[Any, Any, Any]:
        """Return what wakes the call, with the slot of the caller lent meanwhile."""
        held = slot.get()
        return self._outcome(call) if held is None else self._wait(call, held)

    async def _wait(self, call: OutgoingCall, held: Slot) -> Any:
        held.lend()
        try:
            return await self._outcome(call)
        finally:
            ready = held.reclaim()
            if ready is not None:
                await ready

    async def _outcome(self, call: OutgoingCall) -> Any:
        call.waiter = _Waiter(self, call)
        try:
            outcome = await call.waiter
        except GeneratorExit:
            self.abandon(call)
            raise
        finally:
            call.waiter = None
        if outcome is None:
            # It was cancelled, and nobody can say how the callee ended.
            raise _cancelled(call.cancel_message)
        return outcome

    def cancel(self, call: OutgoingCall, message: Any) -> None:
        """The asyncio task that awaits a call is being cancelled."""
        text = message if message is None or isinstance(message, str) else str(message)
        call.cancels += 1
        self._do(self._caller.cancel(call, text, self.loop.time()))
        self._set_timer()

    async def settle_accounts(self, codec: Codec, call: OutgoingCall, outcome: Any) -> None:
        """Take over what the body did to the context and to the count of cancels."""
        if call.back is not None:
            context.absorb(call.message.context, call.back)
            call.back = None
        if outcome.context:
            await context.unpack(codec, outcome.context)
        me = asyncio.current_task()
        if me is not None and type(outcome) is not envelopes.Item:
            for _ in range(min(outcome.uncancelled, call.cancels)):
                me.uncancel()

    async def error(
        self,
        codec: Codec,
        outcome: Any,
        call: OutgoingCall,
        thrown: BaseException | None = None,
    ) -> BaseException:
        """Return the exception that an outcome without a value stands for."""
        if isinstance(outcome, BaseException):
            return outcome
        if type(outcome) is envelopes.Cancelled:
            return _cancelled(outcome.message)
        if type(outcome) is envelopes.Refusal:
            return _refused(outcome)
        await self.settle_accounts(codec, call, outcome)
        try:
            what = f"what came back about the failure of {call.task!r}"
            record = await payloads.decode(codec, outcome.payload, what)
            return failures.rebuild(record, thrown)
        except (errors.CodecError, errors.IncompatibleError) as exc:
            return exc
        except Exception as exc:
            error = errors.DecodeError(f"{call.task!r} failed, and nobody can read how: {exc}")
            error.__cause__ = exc
            return error

    # -- for streams, see consuming.py ---------------------------------------------------------

    def ask(self, call: OutgoingCall, pull: envelopes.Pull) -> None:
        """Ask for the next item of a stream, or send something in."""
        self._do(self._caller.ask(call, pull, self.loop.time()))

    def give_credit(self, call: OutgoingCall, pull: envelopes.Pull) -> None:
        """Let a stream run on while its consumer still has items."""
        self._send_pull(SendPull(call, pull))

    def abandon(self, call: OutgoingCall) -> None:
        """Nobody awaits this call any more."""
        self._do(self._caller.abandon(call, self.loop.time()))

    # -- what the transport brings -------------------------------------------------------------

    def on_envelope(self, envelope: envelopes.Envelope, back: Context | None) -> None:
        """An answer, item or notice for one of the calls."""
        call = self._caller.calls.get(envelope.id)
        if call is not None:
            call.back = back
        elif type(envelope) is not envelopes.Ask:
            if hooks.listeners:
                hooks.emit(hooks.MessageDropped("late or unknown answer", envelope.id))
            logger.debug("dropped an answer to %s, which nobody awaits", envelope.id)
            return
        self._do(self._caller.receive(envelope, self.loop.time()))
        # Most calls need no timer.
        if self._timer is not None or self._caller.timers.moments:
            self._set_timer()

    def on_complaint(self, refusal: envelopes.Refusal) -> None:
        """Somebody says, without a signature, that a call was refused for its own."""
        self._caller.complained(refusal.id, _refused(refusal), self.loop.time())

    def on_returned(self, message: Message) -> None:
        """Nobody serves the queue of a call."""
        self._do(self._caller.returned(message.id, self.loop.time()))
        self._set_timer()

    def on_failed(self, message: Message, error: BaseException) -> None:
        """The transport cannot carry a call."""
        self._do(self._caller.failed(message.id, error, self.loop.time()))

    def on_link(self, *, up: bool) -> None:
        """The link is lost, or is back and what may have been lost with it is sent again."""
        now = self.loop.time()
        self._do(self._caller.relinked(now) if up else self._caller.unlinked(now))

    def on_abandoned(self, error: BaseException) -> None:
        """Calls cannot be carried for now: those under way end."""
        self._do(self._caller.close(error, self.loop.time()))

    def close(self, error: BaseException) -> None:
        """End every call with an error."""
        self.closed_by = error
        self._do(self._caller.close(error, self.loop.time()))
        for waiting in (self._timer, self._sweeper, self._looking):
            if waiting is not None:
                waiting.cancel()

    # -- carrying out --------------------------------------------------------------------------

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            _CARRY_OUT[type(action)](self, action)

    def _send(self, action: Send) -> None:
        call, message = action.call, action.call.message
        if call.deadline is not None:
            message.ttl_ms = _milliseconds(call.deadline - self.loop.time())
        # Not kept: most calls are sent once.
        request = envelopes.decode(bytes(message.body))
        assert type(request) is envelopes.Request
        again = request._replace(sent=call.sent, ttl_ms=message.ttl_ms)
        message.body = self._encode(again)
        self._post(message)

    def _send_cancel(self, action: SendCancel) -> None:
        call = action.call
        body = envelopes.encode(envelopes.Cancel(call.id, action.reason, call.cancel_message))
        recalls = call.sent <= 1
        self._post(Message(WORKERS, call.queue, call.id, body, call.task, recalls=recalls))

    def _send_pull(self, action: SendPull) -> None:
        call = action.call
        assert call.consumer is not None
        body = envelopes.encode(action.pull)
        if self.transport.shares_context:
            call.message.context = copy_context()
        if call.consumer.origin is not None:
            message = Message(PROCESS, call.consumer.origin, call.id, body, call.task)
            message.context = call.message.context
            self._post(message)

    def _send_who(self, action: SendWho) -> None:
        call = action.call
        who = envelopes.Who(call.id, self.transport.address or "")
        self._post(Message(WORKERS, call.queue, call.id, envelopes.encode(who), call.task))

    def _send_tell(self, action: SendTell) -> None:
        tell = action.tell
        logger.info("told a worker about call %s: %s", tell.id, tell.verdict)
        self._post(Message(PROCESS, action.origin, tell.id, envelopes.encode(tell)))

    def _post(self, message: Message) -> None:
        try:
            self.transport.post(message)
        except (errors.NotConnectedError, ConnectionError):
            # The link is down; when it is back, everything is sent again.
            logger.debug("could not post %s now", message.id)

    def _deliver(self, action: Deliver) -> None:
        self._wake(action.call, action.item)

    def _end(self, action: End) -> None:
        action.call.outcome = action.outcome
        self._wake(action.call, action.outcome)

    @staticmethod
    def _wake(call: OutgoingCall, outcome: Any) -> None:
        if call.waiter is not None and not call.waiter.done():
            call.waiter.set_result(outcome)

    def _warn(self, action: Warn) -> None:
        call = action.call
        # One line for all calls that wait there, or that miss the same worker.
        if not self._told.is_due(f"{call.queue!r} {call.holder!r}"):
            return
        if call.holder is None:
            waits = f"has waited for {action.waited:.0f} s"
        else:
            waits = (
                f"was begun by worker {call.holder}, of which nothing was heard for "
                f"{action.waited:.0f} s, and waits for another"
            )
        logger.warning(
            "nobody serves queue %r of namespace %r: %r %s; %s",
            call.queue,
            call.namespace,
            call.task,
            waits,
            errors.how_to_start_a_worker(call.task, call.queue),
        )

    def _set_timer(self) -> None:
        when = self._caller.next_tick()
        if self._timer is not None:
            if when is not None and self._timer.when() <= when:
                return  # it wakes in time, and asks again then
            self._timer.cancel()
        self._timer = None if when is None else self.loop.call_at(when, self._tick)

    def _sweep(self) -> None:
        self._sweeper = None
        now = self.loop.time()
        self._do(self._caller.sweep(now))
        if not self._caller.calls:
            return
        self._sweeper = self.loop.call_later(self._sweep_every, self._sweep)
        queues = self._caller.unheard(now)
        if queues and (self._looking is None or self._looking.done()):
            self._looking = self.loop.create_task(self._look(queues), name="atasks_ng look")

    async def _look(self, queues: set[str]) -> None:
        """Find out who serves the queues of calls of which nothing was heard."""
        for queue in queues:
            served = await self.transport.is_served(queue)
            if served is not None:
                self._do(self._caller.served(queue, served, self.loop.time()))

    def _tick(self) -> None:
        self._timer = None
        # A timer may fire a little early, by the clock's resolution.
        self._do(self._caller.tick(max(self.loop.time(), self._caller.next_tick() or 0.0)))
        self._set_timer()


_CARRY_OUT: dict[type, Callable[[Outgoing, Any], None]] = {
    Send: Outgoing._send,
    SendCancel: Outgoing._send_cancel,
    SendPull: Outgoing._send_pull,
    SendWho: Outgoing._send_who,
    SendTell: Outgoing._send_tell,
    Deliver: Outgoing._deliver,
    End: Outgoing._end,
    Warn: Outgoing._warn,
}


async def perform(
    connected: Callable[[], Outgoing],
    task: Task,
    options: TaskOptions,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    """
    Perform a call on whatever worker gets it; return or raise what its body does.

    Args:
        connected: Returns what the call goes through.
        task: What is called.
        options: How.
        args: Positional arguments.
        kwargs: Keyword arguments.
    """
    outgoing = connected()
    codec = outgoing.codec()
    # Calls made by tasks do not count: they would wait for each other.
    in_flight, size = None, 0
    if running.get() is None:
        in_flight = outgoing.in_flight
        if not in_flight.enter():
            await in_flight.wait()
    try:
        call = await outgoing.open(codec, task, options, args, kwargs)
        # They may be large, and are not needed any more.
        del args, kwargs
        if in_flight is not None:
            size = len(call.message.body)
            in_flight.weigh(size)
        outcome = await outgoing.wait(call)
    finally:
        if in_flight is not None:
            in_flight.leave(size)
    if type(outcome) is envelopes.Value:
        if outcome.context or call.back is not None or outcome.uncancelled:
            await outgoing.settle_accounts(codec, call, outcome)
        value = payloads.decode_nowait(codec, outcome.payload, task.shown_result)
        return await value.wait() if type(value) is payloads.Pending else value
    exc = await outgoing.error(codec, outcome, call)
    handled = failures.chained(exc, sys.exception())
    try:
        raise exc
    finally:
        # Raising put there what the caller is handling; what the callee was handling stays.
        failures.assign(exc, "__context__", handled)
        del exc, handled


class _Waiter(asyncio.Future[Any]):
    """
    What a caller awaits.

    A cancel goes to the callee, at once, and the waiter goes on until the callee has ended: so is
    an asyncio task cancelled that awaits another one.
    """

    __slots__ = ("_call", "_outgoing")

    def __init__(self, outgoing: Outgoing, call: OutgoingCall) -> None:
        super().__init__(loop=outgoing.loop)
        self._outgoing = outgoing
        self._call = call

    def cancel(self, msg: Any = None) -> bool:
        # It is done, or will be in this step: then the asyncio task keeps the cancel for its next.
        if self.done() or self._call.state not in (OPEN, CANCELLING):
            return False
        self._outgoing.cancel(self._call, msg)
        return True


def _cancelled(message: str | None) -> asyncio.CancelledError:
    return asyncio.CancelledError(*([] if message is None else [message]))


def _milliseconds(seconds: float) -> int:
    """Return a time to live; rounded up, so that it does not end before the caller's own."""
    return max(0, math.ceil(min(seconds, _LONGEST) * 1000))


def _refused(refusal: envelopes.Refusal) -> BaseException:
    cls = getattr(errors, refusal.error, None)
    if isinstance(cls, type) and issubclass(cls, errors.AtasksError):
        try:
            return cls(*refusal.args)
        except TypeError:
            pass
    return errors.RemoteError(refusal.error, ", ".join(map(str, refusal.args)))
