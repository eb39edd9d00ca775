"""
Records of what happened, for whoever listens: logs, metrics, traces, tests.

Whoever emits tests ``hooks.listeners`` first, so that a call costs one attribute look-up when
nobody listens::

    if hooks.listeners:
        hooks.emit(CallEnded(...))
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class CallSent:
    """A caller handed a call to its transport."""

    id: str
    task: str
    namespace: str
    queue: str


@dataclasses.dataclass(frozen=True, slots=True)
class CallStarted:
    """A worker began to run a call."""

    id: str
    task: str
    namespace: str
    worker: str


@dataclasses.dataclass(frozen=True, slots=True)
class CallPerformed:
    """
    A worker ended a call.

    Attributes:
        outcome: ``"value"``, ``"failure"`` (the task raised), ``"refusal"`` (the library did),
            or ``"returned"`` (handed back to the queue).
        seconds: How long the body ran.
    """

    id: str
    task: str
    namespace: str
    worker: str
    outcome: str
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class MessageDropped:
    """A message was of no use and was dropped: late, doubled, damaged, or from a stranger."""

    reason: str
    id: str | None


Listener = Callable[[Any], None]

#: Who listens; test it before making a record.
listeners: tuple[Listener, ...] = ()


def listen(listener: Listener) -> Callable[[], None]:
    """
    Call a function with each record from now on.

    Args:
        listener: Called at once, in the emitting thread; it must be quick and not raise.

    Returns:
        A function that ends it.
    """
    global listeners  # noqa: PLW0603  # replaced whole, so that emit() needs no lock
    listeners = (*listeners, listener)

    def stop() -> None:
        global listeners  # noqa: PLW0603  # replaced whole, so that emit() needs no lock
        listeners = tuple(other for other in listeners if other is not listener)

    return stop


def emit(record: Any) -> None:
    """Hand a record to every listener; an error of one is logged and does not reach the call."""
    for listener in listeners:
        try:
            listener(record)
        except Exception:
            logger.exception("listener %r failed on %r", listener, record)
