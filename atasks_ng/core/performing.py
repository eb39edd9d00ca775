"""One run of one body, from its encoded arguments to the envelope that answers the caller."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ..codecs.base import Codec
from ..places.registry import COROUTINE, STREAM, Task
from ..protocol import envelopes, failures
from ..words import errors
from . import context, payloads
from .objecting import refusal
from .producing import Producing, UnfitItem

if TYPE_CHECKING:
    from ..protocol.calls import IncomingCall
    from .incoming import Incoming

logger = logging.getLogger("atasks_ng.worker")

# What values do when they are encoded and decoded must not end the worker either.
_EXITS = (SystemExit, KeyboardInterrupt)


class Performing:
    """
    The run of the body of one call, in the asyncio task that belongs to the call.

    Args:
        incoming: The worker's side that runs it.
        call: The call.
        task: What it calls.
        codec: The codec of its arguments and its result.
    """

    __slots__ = ("_brought", "_call", "_codec", "_incoming", "_task")

    def __init__(self, incoming: Incoming, call: IncomingCall, task: Task, codec: Codec) -> None:
        self._incoming = incoming
        self._call = call
        self._task = task
        self._codec = codec
        #: Context variables as the caller sent them.
        self._brought: dict[str, Any] | None = None

    async def answer(self) -> envelopes.Envelope:
        """Run the body; return what the caller is told. Raises nothing of the body."""
        call, task, codec = self._call, self._task, self._codec
        try:
            content = payloads.decode_nowait(codec, call.request.payload, task.shown_arguments)
            if type(content) is payloads.Pending:
                content = await content.wait()
            args, kwargs = content
            if call.request.context:
                self._brought = await context.unpack(codec, call.request.context)
        except errors.IncompatibleError as exc:
            self._incoming.log_undecodable(call)
            self._incoming.body_ended(call)
            told = refusal(call.id, exc)
            return told._replace(args=_plain(tuple(told.args)))
        except (Exception, *_EXITS) as exc:
            self._incoming.log_undecodable(call)
            self._incoming.body_ended(call)
            sentence = f"worker {self._incoming.worker}: {exc}"
            return envelopes.Refusal(call.id, "DecodeError", [sentence])
        except asyncio.CancelledError as exc:
            self._incoming.body_ended(call)
            return await self._failure(exc)
        try:
            if task.kind is COROUTINE:
                value = await task.function(*args, **kwargs)
            else:
                value = await self._run(args, kwargs)
        except BaseException as exc:
            # Everything, SystemExit and KeyboardInterrupt too: it belongs to the caller.
            if isinstance(exc, GeneratorExit) and not self._is_current():
                raise  # the loop is being closed, and with it this coroutine
            self._incoming.body_ended(call)
            return await self._failure(exc)
        self._incoming.body_ended(call)
        if call.untold:
            # As in asyncio: a task that ends before its cancel could reach it ends cancelled.
            return envelopes.Cancelled(call.id, call.cancel_message)
        try:
            payload = payloads.encode_nowait(codec, value, task.shown_result)
            if not isinstance(payload, bytes):
                payload = await payload
            self._incoming.check_size(payload, task.shown_result)
        except errors.CodecError as exc:
            return envelopes.Refusal(call.id, _refusal(exc), _plain(exc.args))
        except _EXITS as exc:
            return await self._failure(exc)
        changes = await self._changes() if context.is_needed() else None
        return envelopes.Value(
            call.id, self._uncancelled() if call.cancels else 0, changes, payload
        )

    async def _run(self, args: Any, kwargs: Any) -> Any:
        call = self._call
        if self._task.kind is not STREAM:
            return await self._incoming.run(self._task, args, kwargs)
        # Kept up to date by the run: what its consumer knows is no change to tell at the end.
        self._brought = self._brought or {}
        producing = Producing(self._incoming, call, self._task, self._codec, self._brought)
        await producing.run(args, kwargs)
        return None

    async def _failure(self, exc: BaseException) -> envelopes.Envelope:
        call = self._call
        if isinstance(exc, UnfitItem):
            return envelopes.Refusal(call.id, _refusal(exc.error), _plain(exc.error.args))
        if call.expired and isinstance(exc, asyncio.CancelledError):
            # The caller's own clock may be a little late: it must not take this for a cancel.
            timeout = (call.request.ttl_ms or 0) / 1000
            return envelopes.Refusal(call.id, "DeadlineError", [self._task.name, timeout])
        try:
            payload = await self._description(exc, call.thrown)
        except Exception:
            # Refused by the codec, or it has code of its own that fails whoever looks at it.
            summary = failures.summary_of(exc, self._incoming.tracebacks)
            try:
                # Not in the open if it can be had otherwise: the codec may encrypt.
                payload = await self._description(errors.RemoteError(*summary))
            except Exception:
                return envelopes.Refusal(call.id, "RemoteError", summary)
        changes = await self._changes() if context.is_needed() else None
        return envelopes.Failure(call.id, self._uncancelled(), changes, payload)

    async def _description(self, exc: BaseException, thrown: BaseException | None = None) -> bytes:
        incoming = self._incoming
        record = failures.describe(
            exc, incoming.worker, self._task.name, thrown, tracebacks=incoming.tracebacks
        )
        payload = await payloads.encode_failure(self._codec, record)
        incoming.check_size(payload, f"the failure of {self._task.name!r}")
        return payload

    async def _changes(self) -> envelopes.Baggage | None:
        """Return the context variables that the body changed, if they can be encoded."""
        try:
            return await context.pack(self._codec, self._brought or {})
        except Exception:
            logger.exception("a propagated context variable cannot be encoded")
            return None

    def _uncancelled(self) -> int:
        """Return how many of the cancels that it was given the body took back."""
        call = self._call
        return max(0, call.cancels - call.task.cancelling()) if call.cancels else 0

    def _is_current(self) -> bool:
        try:
            return asyncio.current_task() is self._call.task
        except RuntimeError:
            return False


def _plain(args: tuple[Any, ...]) -> list[Any]:
    """Return the arguments of an error, perhaps of a user's codec, as an envelope takes them."""
    return [arg if type(arg) in (str, int) else payloads.shown(arg) for arg in args]


def _refusal(exc: errors.CodecError) -> str:
    """Return the name of the public class that an error of a codec is told as."""
    name = type(exc).__name__
    return name if getattr(errors, name, None) is type(exc) else "EncodeError"
