"""
Envelopes: what travels, and its bytes.

Law: an envelope is one msgpack array ``[version, kind, id, ...fields, payload]``. Fields are never
removed or given another meaning within a version; new ones are appended after the payload, and
a reader ignores what it does not know.

=========  ==================  ==========================================================
kind       from → to           says
=========  ==================  ==========================================================
request    caller → worker     perform this task with these arguments
value      worker → caller     the task returned this
failure    worker → caller     the task raised this
refusal    worker → caller     the library could not perform the call, and why
notice     worker → caller     the call is being cancelled, or is still running
cancel     caller → worker     cancel this call
cancelled  worker → caller     the call was cancelled before it started
item       worker → caller     the async generator yielded this
pull       caller → worker     go on with the async generator
ask        worker → caller     this call was delivered before: what is to become of it
tell       caller → worker     that
who        caller → worker     does anybody have this call
=========  ==================  ==========================================================
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import msgpack

from ..words.errors import BadMessageError, IncompatibleError
from .pieces import Body, Pieces

VERSION = 1

(
    _REQUEST,
    _VALUE,
    _FAILURE,
    _REFUSAL,
    _NOTICE,
    _CANCEL,
    _CANCELLED,
    _ITEM,
    _PULL,
    _ASK,
    _TELL,
    _WHO,
) = range(1, 13)

#: Context variables that travel: name → encoded value.
Baggage = dict[str, bytes]

#: Why a worker asks.
WHY_LOST, WHY_TWICE, WHY_LAST, WHY_STALE = "lost", "twice", "last", "stale"

#: What a notice says.
CANCELLING, ALIVE, HANDED_BACK = "cancelling", "alive", "handed back"


class Request(NamedTuple):
    """
    Perform a task.

    Attributes:
        id: Identity of the call.
        task: Name of the task.
        codec: Name of the codec of the payload.
        ttl_ms: Time left until the deadline, in milliseconds, when it was sent; ``None``: no limit.
        depth: How many calls stand above this one.
        parent: Identity of the call that awaits it, or ``None``.
        root: Identity of the outermost call.
        credit: How many items of a stream may be sent unasked; 0 for a task that is none.
        sent: How many times it was sent, this one counted.
        rerun: 0 if it must not run again once a worker may have started it, else 1.
        context: Context variables of the caller, or ``None``.
        payload: The arguments: an encoded ``(args, kwargs)``.
    """

    id: str
    task: str
    codec: str
    ttl_ms: int | None
    depth: int
    parent: str | None
    root: str
    credit: int
    sent: int
    rerun: int
    context: Baggage | None
    payload: bytes


class Value(NamedTuple):
    """
    The task returned.

    Attributes:
        id: Identity of the call.
        uncancelled: How many cancels of the caller the body took back by ``Task.uncancel()``.
        context: Context variables that the body changed, or ``None``.
        payload: The encoded value.
    """

    id: str
    uncancelled: int
    context: Baggage | None
    payload: bytes


class Failure(NamedTuple):
    """The task raised; the payload is the encoded record of the exception. Else as a value."""

    id: str
    uncancelled: int
    context: Baggage | None
    payload: bytes


class Refusal(NamedTuple):
    """
    The library could not perform the call.

    Attributes:
        id: Identity of the call.
        error: Name of a class of :mod:`atasks_ng.words.errors`.
        args: Its constructor's arguments, plain values.
    """

    id: str
    error: str
    args: list[Any]


class Notice(NamedTuple):
    """
    A sign of life about a call.

    Attributes:
        id: Identity of the call.
        what: ``"cancelling"``, ``"alive"``, or ``"handed back"``: a worker that stops has put it
            back into its queue.
        worker: Name of the worker that runs it.
    """

    id: str
    what: str
    worker: str


class Cancel(NamedTuple):
    """
    Cancel a call.

    Attributes:
        id: Identity of the call.
        reason: ``"cancel"`` (the caller was cancelled) or ``"deadline"``.
        message: What was given to ``task.cancel(msg)``, if it was a string.
    """

    id: str
    reason: str
    message: str | None


class Cancelled(NamedTuple):
    """The call was cancelled before it started; ``message`` is that of the cancel."""

    id: str
    message: str | None


class Item(NamedTuple):
    """
    The async generator yielded.

    Attributes:
        id: Identity of the call.
        run: Identity of this run of the generator.
        number: Counts the items of the run from 1.
        origin: Address of the process that runs it.
        context: Context variables that the body changed, or ``None``.
        payload: The encoded item.
    """

    id: str
    run: str
    number: int
    origin: str
    context: Baggage | None
    payload: bytes


class Pull(NamedTuple):
    """
    Go on with an async generator.

    Attributes:
        id: Identity of the call.
        verb: One of :data:`~atasks_ng.protocol.streams.VERBS`.
        turn: Counts what was sent or thrown in, from 1, so that it happens once; else 0.
        seen: How many items have arrived.
        limit: Number of the last item that may be sent unasked.
        context: Context variables of the consumer, or ``None``.
        payload: The encoded value to send in, or the record of the exception to throw in.
    """

    id: str
    verb: str
    turn: int
    seen: int
    limit: int
    context: Baggage | None
    payload: bytes


class Ask(NamedTuple):
    """
    A call was delivered that somebody may have run before.

    Attributes:
        id: Identity of the call.
        origin: Address of the worker that asks.
        worker: Its name.
        why: ``"lost"``: a worker is gone that had it; ``"twice"``: it was sent twice; ``"last"``:
            it is about to begin its last attempt.
    """

    id: str
    origin: str
    worker: str
    why: str


class Tell(NamedTuple):
    """
    What is to become of a call that was asked about.

    Attributes:
        id: Identity of the call.
        verdict: ``"go"``, ``"stand by"`` (another worker has it), ``"settled"`` or ``"condemned"``
            (it has cost too many workers).
        attempt: Which attempt it is, counted from 1.
        alone: 1 if no other call may run beside it.
    """

    id: str
    verdict: str
    attempt: int
    alone: int


class Who(NamedTuple):
    """Whoever has this call says so."""

    id: str
    origin: str


Envelope = (
    Request
    | Value
    | Failure
    | Refusal
    | Notice
    | Cancel
    | Cancelled
    | Item
    | Pull
    | Ask
    | Tell
    | Who
)

_KINDS: dict[type, int] = {
    Request: _REQUEST,
    Value: _VALUE,
    Failure: _FAILURE,
    Refusal: _REFUSAL,
    Notice: _NOTICE,
    Cancel: _CANCEL,
    Cancelled: _CANCELLED,
    Item: _ITEM,
    Pull: _PULL,
    Ask: _ASK,
    Tell: _TELL,
    Who: _WHO,
}

# Text that is no Unicode: os.fsdecode() makes it, and messages of exceptions quote it.
_UNICODE = "surrogatepass"

# More than any envelope has, and than anything in one.
_MAX_FIELDS = 1000

# A payload of this size is not copied into its envelope. 16 KiB: what that costs is as nothing
# beside what else is done with a call.
_LARGE_BYTES = 16 * 1024
# As msgpack writes the beginning of bytes, and of none at all.
_BIN16, _BIN32 = 0xC5, 0xC6
_NO_BYTES = b"\xc4\x00"

_pack: Callable[[Any], bytes] = msgpack.Packer(autoreset=True, unicode_errors=_UNICODE).pack


def encode(envelope: Envelope) -> bytes:
    """Return the bytes of an envelope."""
    return _pack((VERSION, _KINDS[type(envelope)], *envelope))


def encode_in_pieces(envelope: Envelope) -> Body:
    """Return the same bytes as :func:`encode`, of a large envelope with its payload uncopied."""
    payload = envelope[-1]
    if type(payload) is not bytes or len(payload) < _LARGE_BYTES:
        return _pack((VERSION, _KINDS[type(envelope)], *envelope))
    head = _pack((VERSION, _KINDS[type(envelope)], *envelope[:-1], b""))
    size = len(payload)
    kind, width = (_BIN16, 2) if size < 2**16 else (_BIN32, 4)
    begin = head[: -len(_NO_BYTES)] + bytes((kind,)) + size.to_bytes(width, "big")
    return Pieces(begin, payload)


def decode(body: bytes | memoryview) -> Envelope:
    """
    Return the envelope that bytes stand for.

    Raises:
        BadMessageError: They are no envelope.
        IncompatibleError: They are one of another version of the protocol.
    """
    try:
        # Memory for arrays is taken by the length that they announce.
        fields = msgpack.unpackb(body, unicode_errors=_UNICODE, max_array_len=_MAX_FIELDS)
    except Exception as exc:
        raise BadMessageError(f"not msgpack: {type(exc).__name__}") from exc
    if type(fields) is not list or len(fields) < 3 or type(fields[0]) is not int:
        raise BadMessageError("not an envelope")
    if fields[0] != VERSION:
        raise IncompatibleError("version", fields[0], VERSION)
    read = _READERS.get(fields[1]) if type(fields[1]) is int else None
    if read is None:
        raise BadMessageError("unknown kind of envelope")
    return read(fields)


def _read(cls: Any, *kinds: tuple[type, ...]) -> Callable[[list[Any]], Envelope]:
    end = 2 + len(kinds)
    # By type(), not isinstance(): a bool must not pass as an int. All at once: one look-up.
    allowed = frozenset(itertools.product(*kinds))
    # What the last one had, which most have: comparing is cheaper than looking up.
    usual: tuple[type, ...] = ()
    new = tuple.__new__

    def read(fields: list[Any]) -> Envelope:
        nonlocal usual
        values = fields[2:end]
        types = tuple(map(type, values))
        if types != usual:
            if types not in allowed:
                what = "too few fields" if len(fields) < end else "a field of a wrong type"
                raise BadMessageError(f"{cls.__name__.lower()} with {what}")
            usual = types
        envelope: Envelope = new(cls, values)
        return envelope

    return read


_TEXT, _BYTES, _INT, _NONE = (str,), (bytes,), (int,), type(None)
_MAYBE_TEXT, _BAGGAGE = (str, _NONE), (dict, _NONE)

_READERS: dict[int, Callable[[list[Any]], Envelope]] = {
    _REQUEST: _read(
        Request,
        *(_TEXT, _TEXT, _TEXT, (int, _NONE), _INT, _MAYBE_TEXT, _TEXT, _INT, _INT, _INT),
        *(_BAGGAGE, _BYTES),
    ),
    _VALUE: _read(Value, _TEXT, _INT, _BAGGAGE, _BYTES),
    _FAILURE: _read(Failure, _TEXT, _INT, _BAGGAGE, _BYTES),
    _REFUSAL: _read(Refusal, _TEXT, _TEXT, (list,)),
    _NOTICE: _read(Notice, _TEXT, _TEXT, _TEXT),
    _CANCEL: _read(Cancel, _TEXT, _TEXT, _MAYBE_TEXT),
    _CANCELLED: _read(Cancelled, _TEXT, _MAYBE_TEXT),
    _ITEM: _read(Item, _TEXT, _TEXT, _INT, _TEXT, _BAGGAGE, _BYTES),
    _PULL: _read(Pull, _TEXT, _TEXT, _INT, _INT, _INT, _BAGGAGE, _BYTES),
    _ASK: _read(Ask, _TEXT, _TEXT, _TEXT, _TEXT),
    _TELL: _read(Tell, _TEXT, _TEXT, _INT, _INT),
    _WHO: _read(Who, _TEXT, _TEXT),
}
