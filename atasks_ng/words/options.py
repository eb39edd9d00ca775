"""Options of a task, as one frozen and validated record."""

from __future__ import annotations

import dataclasses
import datetime
import math
import re
from typing import Any

from .errors import OptionError

#: Executors that can be named: where the body of a task runs.
EXECUTORS = ("loop", "thread")

#: What others can be told of where an exception was raised.
TRACEBACKS = ("full", "names", "off")

# Names become routing keys: a narrow alphabet, and short enough for the prefix before them.
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,100}\Z")

# What may be changed from call to call; the rest says what the task is.
_PER_CALL = ("queue", "timeout", "window")


@dataclasses.dataclass(frozen=True, slots=True)
class TaskOptions:
    """
    How the calls of a task are made and run.

    Attributes:
        queue: Name of the queue that carries the calls.
        timeout: Longest time in seconds from the call to its end; ``None`` sets no limit.
        executor: ``"loop"``, ``"thread"``, or ``None``: the loop for what is awaitable, a thread
            for a plain function.
        window: For an async generator: how many items it may be ahead of its consumer. 1: it moves
            when the consumer asks, as a local one does.
        ack: ``"late"``: a call whose worker is lost runs again elsewhere. ``"early"``: it does
            not, and its caller gets ``WorkerLostError``.
        max_attempts: How many workers a call may be lost with before its caller gets
            ``WorkerLostError``.
        validate: True: arguments of other types than the annotations of the function say are a
            ``TypeError`` at the call, before anything is sent, and once more on the worker.
            Needs ``pip install 'atasks_ng[validate]'``.
    """

    queue: str = "default"
    timeout: float | None = None
    executor: str | None = None
    window: int = 1
    ack: str = "late"
    max_attempts: int = 3
    validate: bool = False

    def __post_init__(self) -> None:
        check_name("queue", self.queue)
        object.__setattr__(self, "timeout", seconds("timeout", self.timeout))
        if self.executor is not None and self.executor not in EXECUTORS:
            raise OptionError(
                f"executor={self.executor!r} does not exist: use one of {', '.join(EXECUTORS)}"
            )

        if self.ack not in ("late", "early"):
            raise OptionError(f"ack={self.ack!r} does not exist: use 'late' or 'early'")
        if type(self.max_attempts) is not int or self.max_attempts < 1:
            raise OptionError(f"max_attempts={self.max_attempts!r}: give a whole number above 0")
        if type(self.validate) is not bool:
            raise OptionError(f"validate={self.validate!r}: give True or False")
        if type(self.window) is not int or not 1 <= self.window <= 65535:
            raise OptionError(f"window={self.window!r}: give a whole number from 1 to 65535")

    @classmethod
    def make(cls, options: dict[str, Any]) -> TaskOptions:
        """Return the record for keyword options, or raise :class:`OptionError`."""
        known = [field.name for field in dataclasses.fields(cls)]
        _refuse_unknown(options, known, "@atask")
        return cls(**options)

    def replace(self, changes: dict[str, Any]) -> TaskOptions:
        """Return a copy with options of one call changed, or raise :class:`OptionError`."""
        _refuse_unknown(changes, _PER_CALL, ".options()")
        return dataclasses.replace(self, **changes)


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """
    Bounds of what one process may ask for.

    Attributes:
        max_depth: How deep calls may call calls.
        max_payload_bytes: Largest arguments and results; ``None`` sets no limit. 4 MiB: far below
            what a broker takes, and enough for what should travel by value.
        max_in_flight: How many calls may be under way, those made by tasks not counted.
        max_in_flight_bytes: The same by the size of their arguments.
    """

    max_depth: int = 10_000
    max_payload_bytes: int | None = 4 * 1024 * 1024
    max_in_flight: int = 10_000
    max_in_flight_bytes: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is None and field.name == "max_payload_bytes":
                continue
            if type(value) is not int or value < 1:
                raise OptionError(f"{field.name}={value!r}: give a whole number above 0")


def check_name(what: str, name: object) -> str:
    """Return a name that can be a routing key, or raise :class:`OptionError`."""
    if not isinstance(name, str) or not _NAME.match(name):
        raise OptionError(
            f"{what}={name!r} is not a name: use 1 to 100 letters, digits, '_', '.' and '-'"
        )
    return name


def check_tracebacks(tracebacks: object) -> str:
    """Return what is told of where exceptions were raised, or raise :class:`OptionError`."""
    if not isinstance(tracebacks, str) or tracebacks not in TRACEBACKS:
        allowed = ", ".join(map(repr, TRACEBACKS))
        raise OptionError(f"tracebacks={tracebacks!r} does not exist: use one of {allowed}")
    return tracebacks


def seconds(what: str, value: object) -> float | None:
    """Return a duration in seconds, given as a number or a timedelta; ``None`` for no limit."""
    if value is None:
        return None
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise OptionError(f"{what}={value!r} is not a duration: give seconds, a timedelta or None")
    return None if value == math.inf else float(value)


def _refuse_unknown(options: dict[str, Any], known: Any, where: str) -> None:
    unknown = [name for name in options if name not in known]
    if unknown:
        raise OptionError(
            f"{where} has no option {unknown[0]!r}: the options are {', '.join(known)}"
        )
