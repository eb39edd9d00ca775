"""The worker's side: take a request, run the body, answer, settle."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Mapping
from typing import Any

from ..places import current
from ..places.namespaces import Namespace
from ..places.registry import Task
from ..protocol import envelopes
from ..protocol.actions import (
    Action,
    Answer,
    AnswerAgain,
    Bury,
    FreeSlot,
    HandBack,
    Interrupt,
    Look,
    Say,
    SayTo,
    Start,
    Widen,
)
from ..protocol.callee import Callee
from ..protocol.calls import IncomingCall
from ..protocol.slots import RESUMED
from ..protocol.tables import CANCELLING
from ..transport.base import PROCESS, Delivery, Message, Transport
from ..words import errors, hooks
from . import payloads
from .executors import Executors
from .held import HeldSlot
from .logs import SeldomLogger, mark_records
from .objecting import objection, refusal
from .performing import Performing

logger = logging.getLogger("atasks_ng.worker")

# How often, in seconds, the worker looks for calls that have run long.
_SWEEP_EVERY = 1.0


class Incoming:
    """
    The calls that one worker performs for one transport.

    Args:
        namespace: Whose tasks and codec are used.
        transport: Where the requests come from.
        worker: Name of this worker.
        concurrency: How many bodies run at once, those that wait for other calls not counted.
        threads: How many plain functions run at once.
        max_payload_bytes: Largest result; ``None`` sets no limit.
        tracebacks: What callers are told of where an exception was raised.
    """

    def __init__(
        self,
        namespace: Namespace,
        transport: Transport,
        worker: str,
        concurrency: int,
        threads: int,
        max_payload_bytes: int | None,
        tracebacks: str,
    ) -> None:
        self.transport = transport
        #: Envelopes to bytes, as the transport takes them.
        self.encode = envelopes.encode_in_pieces if transport.takes_pieces else envelopes.encode
        self.worker = worker
        self.tracebacks = tracebacks
        self.loop = asyncio.get_running_loop()
        self.performed = 0
        self._max_payload = max_payload_bytes
        self._namespace = namespace
        self._callee = Callee(worker, concurrency, transport.address)
        self._sweeper: asyncio.TimerHandle | None = None
        self._executors = Executors(threads)
        self._context = contextvars.copy_context()
        self._timer: asyncio.TimerHandle | None = None
        self._suspended: dict[tuple[str, bool], int] = {}
        self._looks: set[asyncio.Task[None]] = set()
        self._draining = False
        self._log = SeldomLogger(logger)
        #: There while somebody waits for the last call to end.
        self._idle: asyncio.Event | None = None
        mark_records()

    @property
    def running(self) -> int:
        """How many calls are delivered and not settled."""
        return len(self._callee.calls)

    # -- what the transport brings -------------------------------------------------------------

    def on_request(self, delivery: Delivery) -> None:
        """Perform a request, or refuse it."""
        if delivery.fault is not None:
            self._refuse_message(delivery, delivery.fault)
            return
        try:
            request = envelopes.decode(delivery.body)
            if type(request) is not envelopes.Request:
                raise errors.BadMessageError("a message that is no request")
        except errors.ProtocolError as exc:
            self._refuse_message(delivery, exc)
            return
        error = objection(request, self._namespace, self.worker)
        if error is not None:
            kind = type(error).__name__
            self._log.log(logging.INFO, kind, "refused call %s: %s", request.id, error)
            delivery.finish(envelopes.encode(refusal(request.id, error)))
            return
        if self._draining and not self._callee.has(request.id):
            delivery.hand_back()
            return
        call = IncomingCall(
            request,
            delivery.queue,
            nested=delivery.nested,
            lost=delivery.redelivered,
            stale=delivery.stale,
            away=delivery.redelivered and delivery.is_away,
        )
        if delivery.signed and (delivery.outdated or not request.rerun):
            call.stale = call.doubted = True
        call.delivery = delivery
        self._act(self._callee.deliver(call, self.loop.time()))

    def on_envelope(self, envelope: envelopes.Envelope, back: contextvars.Context | None) -> None:
        """What a caller says about one of its calls."""
        now = self.loop.time()
        match envelope:
            case envelopes.Cancel():
                self._act(self._callee.cancel(envelope, now))
            case envelopes.Tell():
                self._act(self._callee.tell(envelope, now))
            case envelopes.Who():
                self._act(self._callee.who(envelope, now))
            case envelopes.Pull():
                call = self._callee.calls.get(envelope.id)
                if call is not None and call.producing is not None:
                    call.producing.on_pull(envelope, back)

    def on_gone(self, id: str) -> None:
        """The caller of a call is gone for good."""
        self._act(self._callee.gone(id, self.loop.time()))

    def on_unlinked(self) -> None:
        """The link is lost; what runs goes on, what has not begun comes back by itself."""
        self._act(self._callee.unlinked(self.loop.time()))

    def on_relinked(self) -> None:
        """The link is there again; requests and their answers come again by themselves."""
        for call in list(self._callee.calls.values()):
            if call.producing is not None:
                call.producing.repeat()

    def _refuse_message(self, delivery: Delivery, exc: errors.ProtocolError) -> None:
        kind = type(exc).__name__
        self._log.warning(kind, "refused a message from queue %r: %s", delivery.queue, exc)
        if hooks.listeners:
            hooks.emit(hooks.MessageDropped(f"refused: {exc}", delivery.id))
        answer = None
        if delivery.id is not None:
            answer = envelopes.encode(refusal(delivery.id, exc))
        delivery.refuse(str(exc), answer)

    # -- performing ----------------------------------------------------------------------------

    async def _perform(self, call: IncomingCall) -> None:
        task = self._namespace.registry.get(call.request.task)
        codec = self._namespace.codec
        assert task is not None
        assert codec is not None
        call.begun = True
        call.started = self.loop.time()
        held = HeldSlot(self, call)
        call.namespace, call.worker = task.namespace, self.worker
        current.running.set(call)
        current.slot.set(held)
        current.deadline.set(None)
        if hooks.listeners:
            hooks.emit(hooks.CallStarted(call.id, task.name, task.namespace, self.worker))
        try:
            envelope = await Performing(self, call, task, codec).answer()
        finally:
            held.end()
        self.performed += not call.recalled
        if hooks.listeners:
            self._tell_performed(call, task, envelope)
        self._act(self._callee.answered(call, envelope, self.loop.time()))

    async def run(self, task: Task, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run the body of a task that is no async generator, in the place it asks for."""
        return await self._executors.run(task, args, kwargs)

    def check_size(self, payload: bytes, what: str) -> None:
        """
        Refuse an answer that is too large.

        Raises:
            TooLargeError: It is.
        """
        if self._max_payload is not None and len(payload) > self._max_payload:
            raise payloads.too_large(payload, self._max_payload, what, "worker")

    def log_undecodable(self, call: IncomingCall) -> None:
        """Tell the log, without what the arguments are, that a call cannot be performed."""
        self._log.log(
            logging.INFO,
            "DecodeError",
            "the arguments of call %s of %r cannot be decoded here, as its caller is told",
            call.id,
            call.request.task,
        )

    def body_ended(self, call: IncomingCall) -> None:
        """From now on, the call cannot be cancelled."""
        self._act(self._callee.body_ended(call, self.loop.time()))

    def _tell_performed(self, call: IncomingCall, task: Task, envelope: envelopes.Envelope) -> None:
        outcome = "returned" if call.recalled else type(envelope).__name__.lower()
        seconds = self.loop.time() - call.started
        hooks.emit(
            hooks.CallPerformed(call.id, task.name, task.namespace, self.worker, outcome, seconds)
        )

    # -- slots ---------------------------------------------------------------------------------

    def take_slot(self, held: HeldSlot) -> bool:
        """Take a slot for a call that goes on, or put it first in line."""
        return self._callee.slots.take(held, RESUMED)

    def force_slot(self, held: HeldSlot) -> None:
        """Take a slot even if none is free."""
        self._callee.slots.force(held)

    def leave_line(self, held: HeldSlot) -> None:
        """Wait for no slot any more."""
        self._callee.slots.leave(held)

    def release_slot(self, call: IncomingCall) -> None:
        """Give the slot of a call back, and wake whoever gets it."""
        for who in self._callee.slots.release(call):
            if isinstance(who, IncomingCall):
                self._do(self._callee.granted(who, self.loop.time()))
            elif isinstance(who, HeldSlot):
                who.grant()

    def count_suspended(self, call: IncomingCall, change: int) -> None:
        """Let the transport bring as many more calls as wait for others."""
        key = (call.queue, call.nested)
        self._suspended[key] = self._suspended.get(key, 0) + change
        self.transport.widen(call.queue, nested=call.nested, suspended=self._suspended[key])

    # -- stopping ------------------------------------------------------------------------------

    async def drain(self, grace: float | None) -> int:
        """
        Let running calls end; hand back what waits at once, and the rest after a time.

        Args:
            grace: Longest wait in seconds; ``0`` cancels and hands back at once, ``None`` waits
                for all.

        Returns:
            How many calls were handed back.
        """
        self._draining = True
        before = self.running
        self._act(self._callee.recall(self.loop.time(), waiting_only=True))
        handed_back = before - self.running
        try:
            async with asyncio.timeout(grace):
                await self._wait_idle()
        except TimeoutError:
            handed_back += self.running
            self._act(self._callee.recall(self.loop.time()))
            await self._wait_recalled()
        return handed_back

    async def _wait_recalled(self) -> None:
        # Their finally blocks run now; 1 s, since the supervisor's patience is not endless.
        try:
            async with asyncio.timeout(1.0):
                await self._wait_idle()
        except TimeoutError:
            logger.warning("%d calls did not react to being cancelled", self.running)

    def close(self) -> None:
        """Let go of threads and timers."""
        self._executors.close()
        for waiting in (self._timer, self._sweeper, *self._looks):
            if waiting is not None:
                waiting.cancel()

    async def _wait_idle(self) -> None:
        if self._callee.calls:
            # One for all who wait: a second stop may come while the first one waits.
            if self._idle is None or self._idle.is_set():
                self._idle = asyncio.Event()
            await self._idle.wait()

    def _sweep(self) -> None:
        self._sweeper = None
        self._act(self._callee.sweep(self.loop.time()))

    # -- carrying out --------------------------------------------------------------------------

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            _CARRY_OUT[type(action)](self, action)
        callee = self._callee
        if callee.calls:
            if self._sweeper is None:
                self._sweeper = self.loop.call_later(_SWEEP_EVERY, self._sweep)
        elif self._idle is not None:
            self._idle.set()
        # Most calls need no timer.
        if self._timer is not None or callee.timers.moments:
            self._set_timer()

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            _CARRY_OUT[type(action)](self, action)

    def _start(self, action: Start) -> None:
        call = action.call
        if call.lost or call.request.sent > 1:
            self._log_rerun(call)
        # A copy: the caller compares what comes back with what it sent.
        here = call.context = (call.delivery.context or self._context).copy()
        # Named after what it runs: for the watchdog, and for whoever looks at all tasks.
        name = f"{call.request.task} {call.id}"
        call.task = self.loop.create_task(self._perform(call), name=name, context=here)

    def _log_rerun(self, call: IncomingCall) -> None:
        why = "another worker had it, and is gone or has lost its link"
        if not call.lost:
            why = "its caller has sent it again"
        request = call.request
        logger.info(
            "begin call %s of %r, attempt %d: %s", request.id, request.task, call.attempt, why
        )

    def _interrupt(self, action: Interrupt) -> None:
        call = action.call
        if not call.begun:
            # Cancelled before its first step, which is about to come, a task never runs, and
            # nobody would answer.
            call.untold = True
            self.loop.call_soon(self._interrupt, action)
        elif call.state is CANCELLING:
            call.untold = False
            call.cancels += 1
            call.task.cancel(*([action.message] if action.message is not None else []))

    def _say(self, action: Say) -> None:
        action.call.delivery.say(envelopes.encode(action.envelope))

    def _answer(self, action: Answer) -> None:
        call = action.call
        body = None if action.envelope is None else self.encode(action.envelope)
        call.delivery.finish(body, call.context)
        if body is not None:
            self._callee.sent(call, body)

    def _answer_again(self, action: AnswerAgain) -> None:
        action.call.delivery.finish(action.body)

    def _say_to(self, action: SayTo) -> None:
        self.transport.post(Message(PROCESS, action.address, action.id, action.body))

    def _look(self, action: Look) -> None:
        look = self.loop.create_task(self._find_caller(action.call), name="atasks_ng look")
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    async def _find_caller(self, call: IncomingCall) -> None:
        listening = await call.delivery.find_caller()
        self._act(self._callee.looked(call, listening, self.loop.time()))

    def _widen(self, action: Widen) -> None:
        self.count_suspended(action.call, action.change)

    def _bury(self, action: Bury) -> None:
        call = action.call
        logger.error("gave up call %s of %r: %s", call.id, call.request.task, action.reason)
        call.delivery.refuse(action.reason, None)

    def _free_slot(self, action: FreeSlot) -> None:
        self.release_slot(action.call)

    def _hand_back(self, action: HandBack) -> None:
        action.call.delivery.hand_back()

    def _set_timer(self) -> None:
        when = self._callee.next_tick()
        if self._timer is not None:
            if when is not None and self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = None if when is None else self.loop.call_at(when, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._act(self._callee.tick(max(self.loop.time(), self._callee.next_tick() or 0.0)))


_CARRY_OUT: dict[type, Callable[[Incoming, Any], None]] = {
    Start: Incoming._start,
    Interrupt: Incoming._interrupt,
    Say: Incoming._say,
    Answer: Incoming._answer,
    AnswerAgain: Incoming._answer_again,
    HandBack: Incoming._hand_back,
    SayTo: Incoming._say_to,
    Bury: Incoming._bury,
    FreeSlot: Incoming._free_slot,
    Look: Incoming._look,
    Widen: Incoming._widen,
}
