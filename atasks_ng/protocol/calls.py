"""The calls that the machines keep, one record for each side."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from .envelopes import Ask, Request
from .streams import Consumer
from .tables import OPEN, WAITING


@dataclasses.dataclass(frozen=True, slots=True)
class CallerTimes:
    """
    Patience of a caller, in seconds, and how often it tries.

    Attributes:
        worker_grace: How long a call may find nobody who serves its queue.
        warn_after: When the log says so.
        retry_every: Pause between two tries to hand such a call over.
        sign: How long a cancelled call waits for a first sign that somebody runs it. 1 s:
            a worker that is alive answers in a round trip; one that does not is busy
            with something else than this call, or has not got it.
        cancel_grace: How long it then waits for the end of the callee's clean-up.
        holder: How long a worker that asks about a call is kept waiting while all others are
            asked whether they have it. 0.3 s: many round trips, and a lost worker's calls start
            elsewhere within a second.
        sought: How long the answers of all others hold. 2 s: who asks again is answered anew.
        overdue: How long a call may be without a sign before it is sent again; doubled each
            time. 30 s: two beats of a worker.
    """

    worker_grace: float = 30.0
    warn_after: float = 5.0
    retry_every: float = 0.5
    sign: float = 1.0
    cancel_grace: float = 30.0
    holder: float = 0.3
    sought: float = 2.0
    overdue: float = 30.0


@dataclasses.dataclass(frozen=True, slots=True)
class CalleeTimes:
    """
    Patience of a worker, in seconds.

    Attributes:
        silence: How long a caller that was asked may take to answer.
        stand_by: How long a worker waits that was told to stand by, before it asks again.
        longest_pause: Longest pause between two questions to a caller whose link is away.
        first_beat: When a running call first says that it is alive.
        beat: How often it does after that.
    """

    silence: float = 2.0
    stand_by: float = 2.0
    longest_pause: float = 16.0
    first_beat: float = 1.0
    beat: float = 15.0


class OutgoingCall:
    """
    One awaited call.

    Attributes:
        id: Its identity.
        task: Name of the task.
        namespace: Namespace of the task.
        queue: Queue that carries it.
        timeout: The time it has in all, in seconds, or ``None``.
        deadline: When it must have ended, or ``None``.
        rerun: False if it must not run again once a worker may have started it.
        max_attempts: How many workers it may cost.
        nested: True if it goes by the queue of nested calls.
        state: State in the table.
        sent: How many times it was sent.
        attempt: How many times a worker was let run it.
        heard_at: When it was sent, or a worker said something about it.
        cancel_message: What the latest cancel said.
        unserved_since: When it was first returned because nobody serves its queue.
        holder: Name of the worker that says it has it.
        held_at: When a worker last said so, or was told to run it.
        sought_at: When all workers were last asked whether they have it.
        missed: True if nothing is heard of a stream, though everybody was asked for it.
        asker: What a worker said that waits to hear whether to run it.
        handed_back: True if a stopping worker put it back.
        granted: True once a worker was told to run what another may have run, or may yet run.
        convicts: True once its last attempt may have begun.
        noticed: True once a worker has said that the body hears of the cancel.
        complaint: When somebody without a key first said to have refused it, and why.
        consumer: The receiving end, if the task is an async generator.
    """

    __slots__ = (
        "asker",
        "attempt",
        "back",
        "cancel_message",
        "cancels",
        "complaint",
        "consumer",
        "convicts",
        "deadline",
        "granted",
        "handed_back",
        "heard_at",
        "held_at",
        "holder",
        "id",
        "max_attempts",
        "message",
        "missed",
        "namespace",
        "nested",
        "noticed",
        "outcome",
        "queue",
        "quiet_at",
        "rerun",
        "sent",
        "sought_at",
        "state",
        "task",
        "timeout",
        "unserved_since",
        "waiter",
        "warned",
    )

    def __init__(
        self,
        id: str,
        task: str,
        namespace: str,
        queue: str,
        *,
        timeout: float | None = None,
        deadline: float | None = None,
        rerun: bool = True,
        max_attempts: int = 3,
        nested: bool = False,
    ) -> None:
        self.id = id
        self.nested = nested
        self.task = task
        self.namespace = namespace
        self.queue = queue
        self.timeout = timeout
        self.deadline = deadline
        self.rerun = rerun
        self.max_attempts = max_attempts
        self.state = OPEN
        self.sent = 1
        self.attempt = 1
        self.heard_at = 0.0
        self.held_at = 0.0
        self.sought_at = -math.inf
        self.missed = False
        self.granted = False
        self.cancel_message: str | None = None
        self.unserved_since: float | None = None
        self.quiet_at: float | None = None
        self.warned = False
        self.holder: str | None = None
        self.asker: Ask | None = None
        self.handed_back = False
        self.convicts = False
        self.noticed = False
        self.complaint: tuple[float, BaseException] | None = None
        self.consumer: Consumer | None = None
        # The shell's own: what it sends again, what it wakes and with what, the context that came
        # back. No rule looks at them.
        self.back: Any = None
        self.cancels = 0
        self.message: Any = None
        self.outcome: Any = None
        self.waiter: Any = None

    def is_quiet(self, now: float) -> bool:
        """Return True if the time is over in which a sign was expected."""
        return self.quiet_at is not None and self.quiet_at <= now

    def __repr__(self) -> str:
        return f"<OutgoingCall {self.id[:8]} of {self.task!r}, {self.state}>"


class IncomingCall:
    """
    One delivered call.

    Attributes:
        request: What was asked.
        queue: Queue that brought it.
        nested: True if it came by the queue of nested calls.
        lost: True if a worker that had it is gone.
        stale: True if nobody knows how long it lay in the queue.
        doubted: True if a stranger may have sent it again: it runs on its caller's word only.
        away: True if its caller is known to have no link.
        deadline: When it must have ended, or ``None``.
        state: State in the table.
        attempt: Which attempt this is.
        alone: True if no other call may run beside it.
        expired: True if its body was told to stop because the deadline has passed.
        spared: True if the next cancel may be the caller's word of the same deadline.
        recalled: True if a stopping worker took it back: it is handed to another one.
        orphaned: True if its body was told to stop because its caller seemed to be gone for good.
        cancel_message: What the latest cancel said.
        beat_at: When to say next that it is alive.
        silence_at: Until when the caller is expected to answer, or ``None``.
        ask_pause: How long the last pause was between two questions to a caller that is away.
        uncounted: True while it does not count against its window.
    """

    __slots__ = (
        "alone",
        "ask_pause",
        "attempt",
        "away",
        "beat_at",
        "begun",
        "cancel_message",
        "cancels",
        "context",
        "deadline",
        "delivery",
        "doubted",
        "expired",
        "id",
        "lost",
        "namespace",
        "nested",
        "orphaned",
        "producing",
        "queue",
        "recalled",
        "request",
        "seen",
        "silence_at",
        "spared",
        "stale",
        "started",
        "state",
        "task",
        "thrown",
        "uncounted",
        "untold",
        "worker",
    )

    def __init__(
        self,
        request: Request,
        queue: str,
        *,
        nested: bool = False,
        lost: bool = False,
        stale: bool = False,
        away: bool = False,
    ) -> None:
        self.id = request.id
        self.request = request
        self.queue = queue
        self.nested = nested
        self.lost = lost
        self.stale = stale
        self.away = away
        self.doubted = False
        self.ask_pause = 0.0
        self.uncounted = False
        self.deadline: float | None = None
        self.state = WAITING
        self.attempt = 1
        self.alone = False
        self.recalled = False
        self.orphaned = False
        self.expired = False
        self.spared = False
        self.cancel_message: str | None = None
        self.beat_at = 0.0
        self.silence_at: float | None = None
        # The shell's own. No rule looks at them.
        self.begun = False
        self.cancels = 0
        self.context: Any = None
        self.delivery: Any = None
        self.namespace = ""
        self.producing: Any = None
        self.seen: Any = None
        self.started = 0.0
        self.task: Any = None
        self.thrown: BaseException | None = None
        self.untold = False
        self.worker = ""

    def __repr__(self) -> str:
        return f"<IncomingCall {self.id[:8]} of {self.request.task!r}, {self.state}>"
