"""The caller's side: encode, post, wait, and give the caller what the callee ended with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextvars import Context, copy_context
from typing import Any

from ..codecs.base import Codec
from ..places.current import OWN, running, slot
from ..places.namespaces import Namespace
from ..places.registry import Task
from ..protocol import envelopes, failures
from ..protocol.actions import Action, End, Send, SendCancel, Warn
from ..protocol.caller import ENDED, Caller, CallerTimes, OutgoingCall
from ..transport.base import NESTED, ROOT, WORKERS, Message, Transport
from ..words import errors, hooks
from ..words.ids import new_id
from ..words.options import TaskOptions

logger = logging.getLogger("atasks_ng.caller")


class Outgoing:
    """
    The calls that one process makes through one transport.

    Args:
        namespace: Whose codec is used.
        transport: A connected transport.
        times: Patience of the caller.
        max_depth: How deep calls may call calls.
    """

    def __init__(
        self,
        namespace: Namespace,
        transport: Transport,
        times: CallerTimes,
        max_depth: int,
    ) -> None:
        self.transport = transport
        self.loop = asyncio.get_running_loop()
        self._namespace = namespace
        self._max_depth = max_depth
        self._caller = Caller(times)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def pending(self) -> int:
        """How many calls are awaited."""
        return len(self._caller.calls)

    async def call(
        self, task: Task, options: TaskOptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Perform a call on whatever worker gets it; return or raise what its body does."""
        codec = self._namespace.codec
        if codec is None:
            raise errors.NoCodecError(self._namespace.name)
        content = await _encode(codec, (args, kwargs), task)
        call = self._open(task, options, codec, content)
        held = slot.get()
        if held is None:
            outcome = await self._wait(call)
        else:
            held.lend()
            try:
                outcome = await self._wait(call)
            finally:
                ready = held.reclaim()
                if ready is not None:
                    await ready
        if call.back is not None:
            _absorb(call.message.context, call.back)
        if type(outcome) is envelopes.Value:
            return await _decode(codec, outcome.payload, task)
        exc = await self._error(codec, outcome, call)
        context = exc.__context__
        try:
            raise exc
        finally:
            # Raising put what the caller is handling there; what the callee was handling stays.
            if context is not None:
                exc.__context__ = context
            del exc, context

    # -- sending -------------------------------------------------------------------------------

    def _open(
        self, task: Task, options: TaskOptions, codec: Codec, content: bytes
    ) -> OutgoingCall:
        id = new_id()
        outer = running.get()
        depth = 0 if outer is None else outer.depth + 1
        if depth >= self._max_depth:
            raise errors.RecursionTooDeepError(task.name, self._max_depth)
        call = OutgoingCall(id, task.name, task.namespace, options.queue)
        ttl_ms = self._set_deadline(call, options.timeout, outer and outer.deadline)
        request = envelopes.Request(
            id,
            task.name,
            codec.name,
            ttl_ms,
            depth,
            outer.id if outer else None,
            outer.root if outer else id,
            content,
        )
        context = copy_context()
        call.message = Message(
            NESTED if outer else ROOT,
            options.queue,
            id,
            envelopes.encode(request),
            task.name,
            ttl_ms,
            context,
        )
        self._caller.open(call)
        if call.deadline is not None:
            self._set_timer()
        try:
            self.transport.post(call.message)
        except BaseException:
            del self._caller.calls[id]
            raise
        if hooks.listeners:
            hooks.emit(hooks.CallSent(id, task.name, task.namespace, options.queue))
        return call

    def _set_deadline(
        self, call: OutgoingCall, timeout: float | None, inherited: float | None
    ) -> int | None:
        if timeout is None and inherited is None:
            return None
        now = self.loop.time()
        deadline = inherited if timeout is None else now + timeout
        if inherited is not None and deadline is not None:
            deadline = min(deadline, inherited)
        assert deadline is not None
        call.deadline = deadline
        call.timeout = deadline - now
        return max(0, int(call.timeout * 1000))

    # -- waiting -------------------------------------------------------------------------------

    async def _wait(self, call: OutgoingCall) -> Any:
        cancelled: asyncio.CancelledError | None = None
        try:
            while True:
                call.waiter = self.loop.create_future()
                try:
                    outcome = await call.waiter
                    break
                except asyncio.CancelledError as exc:
                    if call.state is ENDED:
                        raise  # the end and the cancel came in one step of the loop
                    cancelled = exc
                # A new future first: the cancel may end the call at once.
                message = cancelled.args[0] if cancelled.args else None
                text = message if message is None or isinstance(message, str) else str(message)
                actions = self._caller.cancel(call, text, self.loop.time())
                if call.state is ENDED:
                    raise cancelled
                self._do(actions)
                self._set_timer()
            if outcome is None:
                assert cancelled is not None
                raise cancelled
            return outcome
        except GeneratorExit:
            self._do(self._caller.abandon(call, self.loop.time()))
            raise
        finally:
            del cancelled

    async def _error(self, codec: Codec, outcome: Any, call: OutgoingCall) -> BaseException:
        if isinstance(outcome, BaseException):
            return outcome
        if type(outcome) is envelopes.Cancelled:
            return asyncio.CancelledError(*([outcome.message] if outcome.message else []))
        if type(outcome) is envelopes.Refusal:
            return _refused(outcome)
        try:
            record = codec.decode(outcome.payload)
            if asyncio.iscoroutine(record) or asyncio.isfuture(record):
                record = await record
            return failures.rebuild(record)
        except Exception as exc:
            error = errors.DecodeError(
                f"{call.task!r} failed, and what came back about it cannot be read: {exc}"
            )
            error.__cause__ = exc
            return error

    # -- what the transport brings -------------------------------------------------------------

    def on_envelope(self, envelope: envelopes.Envelope, context: Context | None) -> None:
        """An answer or notice for one of the calls."""
        if envelope.id not in self._caller.calls:
            if hooks.listeners:
                hooks.emit(hooks.MessageDropped("late or unknown answer", envelope.id))
            logger.debug("dropped an answer to %s, which nobody awaits", envelope.id)
            return
        self._caller.calls[envelope.id].back = context
        self._do(self._caller.receive(envelope, self.loop.time()))
        self._set_timer()

    def on_returned(self, message: Message) -> None:
        """Nobody serves the queue of a call."""
        self._do(self._caller.returned(message.id, self.loop.time()))
        self._set_timer()

    def on_failed(self, message: Message, error: BaseException) -> None:
        """The transport cannot carry a call."""
        self._do(self._caller.failed(message.id, error, self.loop.time()))

    def on_link_up(self) -> None:
        """The link is back: send again what may have been lost with it."""
        self._do(self._caller.relinked(self.loop.time()))

    def close(self, error: BaseException) -> None:
        """End every call with an error."""
        self._do(self._caller.close(error, self.loop.time()))
        if self._timer is not None:
            self._timer.cancel()

    # -- carrying out --------------------------------------------------------------------------

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            _CARRY_OUT[type(action)](self, action)

    def _send(self, action: Send) -> None:
        message = action.call.message
        if action.call.deadline is not None:
            message.ttl_ms = max(0, int((action.call.deadline - self.loop.time()) * 1000))
        self._post(message)

    def _send_cancel(self, action: SendCancel) -> None:
        call = action.call
        body = envelopes.encode(envelopes.Cancel(call.id, action.reason, call.cancel_message))
        self._post(Message(WORKERS, call.queue, call.id, body, call.task))

    def _post(self, message: Message) -> None:
        try:
            self.transport.post(message)
        except (errors.NotConnectedError, ConnectionError):
            # The link is down; when it is back, everything is sent again.
            logger.debug("could not post %s now", message.id)

    def _end(self, action: End) -> None:
        waiter = action.call.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(action.outcome)

    def _warn(self, action: Warn) -> None:
        call = action.call
        logger.warning(
            "nobody serves queue %r of namespace %r: %r waits since %.0f s; %s",
            call.queue,
            call.namespace,
            call.task,
            self.loop.time() - (call.unserved_since or 0.0),
            errors.how_to_start_a_worker(call.task, call.queue),
        )

    def _set_timer(self) -> None:
        when = self._caller.next_tick()
        if self._timer is not None:
            if when is not None and self._timer.when() <= when:
                return  # it wakes in time, and asks again then
            self._timer.cancel()
        self._timer = None if when is None else self.loop.call_at(when, self._tick)

    def _tick(self) -> None:
        self._timer = None
        # A timer may fire a little early, by the clock's resolution.
        self._do(self._caller.tick(max(self.loop.time(), self._caller.next_tick() or 0.0)))
        self._set_timer()


_CARRY_OUT: dict[type, Callable[[Outgoing, Any], None]] = {
    Send: Outgoing._send,
    SendCancel: Outgoing._send_cancel,
    End: Outgoing._end,
    Warn: Outgoing._warn,
}


async def _encode(codec: Codec, content: Any, task: Task) -> bytes:
    try:
        data = codec.encode(content)
        if not isinstance(data, bytes):
            data = await data
    except errors.EncodeError:
        raise
    except Exception as exc:
        raise errors.EncodeError(
            f"the arguments of {task.name!r} cannot be encoded by {codec.name}: {exc}"
        ) from exc
    if not isinstance(data, bytes):
        raise errors.EncodeError(f"{codec.name}.encode() returned {type(data).__name__}, not bytes")
    return data


async def _decode(codec: Codec, payload: bytes, task: Task) -> Any:
    try:
        value = codec.decode(payload)
        if asyncio.iscoroutine(value) or asyncio.isfuture(value):
            value = await value
        return value
    except errors.CodecError:
        raise
    except Exception as exc:
        raise errors.DecodeError(
            f"the result of {task.name!r} cannot be decoded by {codec.name}: {exc}"
        ) from exc


def _absorb(before: Context, after: Context) -> None:
    """Set what the callee set: an awaited call shares the context of its caller."""
    for var, value in after.items():
        if var not in OWN and before.get(var, after) is not value:
            var.set(value)


def _refused(refusal: envelopes.Refusal) -> BaseException:
    cls = getattr(errors, refusal.error, None)
    if isinstance(cls, type) and issubclass(cls, errors.AtasksError):
        try:
            return cls(*refusal.args)
        except TypeError:
            pass
    return errors.RemoteError(refusal.error, ", ".join(map(str, refusal.args)))
