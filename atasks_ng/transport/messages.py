"""What passes between router and transport: messages to post, and deliveries to settle."""

from __future__ import annotations

import dataclasses
from contextvars import Context
from typing import Protocol

from ..protocol.envelopes import Refusal
from ..protocol.pieces import Body
from ..words.errors import ProtocolError
from .sealing import Sealing


@dataclasses.dataclass(slots=True)
class Message:
    """
    What is posted.

    Attributes:
        kind: ``"root"`` or ``"nested"`` (a request for a queue), ``"workers"`` (to every worker
            of a queue) or ``"process"`` (to the address of one process).
        target: The queue, or the address.
        id: Identity of the call.
        body: The envelope; in pieces only if the transport takes them.
        task: Name of the task.
        ttl_ms: Time after which a request need not be delivered any more, or ``None``.
        context: The caller's context variables; a transport within one process hands it on.
        recalls: True if it cancels a request that was posted once: if that has not left yet, it
            need not leave at all.
    """

    kind: str
    target: str
    id: str
    body: Body
    task: str = ""
    ttl_ms: int | None = None
    context: Context | None = None
    recalls: bool = False


class Delivery:
    """
    A request in the hands of a worker, until it is settled by one of ``finish``, ``hand_back``
    and ``refuse``.

    Attributes:
        body: The envelope, without its seal; nothing if that is not whole.
        id: Identity of the call as the transport knows it, or ``None``.
        queue: The queue that brought it.
        nested: True if it came as a nested call.
        redelivered: True if it was delivered before.
        stale: True if it may have lain in the queue for long, so that nobody may await it.
        context: The caller's context variables, where a transport hands them on.
        fault: Why its seal is not whole, or ``None``; what is said about it is not signed.
        signed: True if its sender has proved to hold a key.
        outdated: True if that was too long ago, so that a stranger may have sent it again.
    """

    __slots__ = (
        "body",
        "context",
        "fault",
        "id",
        "nested",
        "outdated",
        "queue",
        "redelivered",
        "signed",
        "stale",
    )

    def __init__(
        self,
        body: bytes | memoryview,
        *,
        id: str | None = None,
        queue: str = "default",
        nested: bool = False,
        redelivered: bool = False,
        stale: bool = False,
        context: Context | None = None,
    ) -> None:
        self.body = body
        self.fault: ProtocolError | None = None
        self.signed = self.outdated = False
        self.id = id
        self.queue = queue
        self.nested = nested
        self.redelivered = redelivered
        self.stale = stale
        self.context = context

    def unseal(self, sealed: bytes, sealing: Sealing, reply_to: str) -> None:
        """
        Take the request out of its seal; if that is not whole, :attr:`fault` says why.

        Args:
            sealed: What came.
            sealing: Opens it.
            reply_to: Where its answer goes, or an empty text.
        """
        try:
            self.body = sealing.open_request(sealed, reply_to)
        except ProtocolError as exc:
            self.fault = exc
            return
        if sealing.is_signing:
            self.signed = True
            self.outdated = sealing.is_outdated(sealed)

    @property
    def is_away(self) -> bool:
        """True if the caller is known to have no link just now."""
        return False

    async def find_caller(self) -> bool:
        """Return False if the caller has no link just now, True if it has, or nobody can say."""
        return True

    def finish(self, answer: Body | None, context: Context | None = None) -> None:
        """Send the last envelope to the caller, or none, and settle the request."""
        raise NotImplementedError

    def say(self, envelope: Body, context: Context | None = None) -> None:
        """Send an envelope to the caller; the call goes on."""
        raise NotImplementedError

    def hand_back(self) -> None:
        """Put the request back for another worker."""
        raise NotImplementedError

    def refuse(self, reason: str, answer: bytes | None) -> None:
        """Answer if there is somebody to answer, and keep the message where operators find it."""
        self.finish(answer)


class Receiver(Protocol):
    """Who hears what a transport brings: the router."""

    @property
    def is_waiting(self) -> bool:
        """True while a call is awaited or performed, and a dead link must be noticed soon."""

    def on_request(self, delivery: Delivery) -> None:
        """A request for this worker."""

    def on_envelope(self, body: bytes | memoryview, context: Context | None = None) -> None:
        """An envelope for this process: an answer, a notice, a cancel."""

    def on_refused(self, error: ProtocolError, complaint: Refusal | None = None) -> None:
        """
        An envelope for this process that was dropped, since its seal is not whole.

        Args:
            error: What is wrong with it.
            complaint: What it says, if it says, unsigned, that a request was refused.
        """

    def on_returned(self, message: Message) -> None:
        """A request that no queue took; its body need not be there."""

    def on_gone(self, id: str) -> None:
        """What was said to the caller of a call came back: there is no such process any more."""

    def on_failed(self, message: Message, error: BaseException) -> None:
        """A request that cannot be carried."""

    def on_link(self, *, up: bool) -> None:
        """The link was lost, or is there again."""

    def on_abandoned(self, error: BaseException) -> None:
        """Requests cannot be carried for now: the calls under way end with this error."""
