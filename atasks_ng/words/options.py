"""Options of a task, as one frozen and validated record."""

from __future__ import annotations

import dataclasses
import datetime
import re
from typing import Any

from .errors import OptionError

#: Executors that can be named: where the body of a task runs.
EXECUTORS = ("loop", "thread")

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
    """

    queue: str = "default"
    timeout: float | None = None
    executor: str | None = None
    window: int = 1

    def __post_init__(self) -> None:
        check_name("queue", self.queue)
        object.__setattr__(self, "timeout", seconds("timeout", self.timeout))
        if self.executor is not None and self.executor not in EXECUTORS:
            raise OptionError(
                f"executor={self.executor!r} does not exist: use one of {', '.join(EXECUTORS)}"
            )

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


def check_name(what: str, name: object) -> str:
    """Return a name that can be a routing key, or raise :class:`OptionError`."""
    if not isinstance(name, str) or not _NAME.match(name):
        raise OptionError(
            f"{what}={name!r} is not a name: use 1 to 100 letters, digits, '_', '.' and '-'"
        )
    return name


def seconds(what: str, value: object) -> float | None:
    """Return a duration in seconds, given as a number or a timedelta; ``None`` stays ``None``."""
    if value is None:
        return None
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise OptionError(f"{what}={value!r} is not a duration: give seconds, a timedelta or None")
    return float(value)


def _refuse_unknown(options: dict[str, Any], known: Any, where: str) -> None:
    unknown = [name for name in options if name not in known]
    if unknown:
        raise OptionError(
            f"{where} has no option {unknown[0]!r}: the options are {', '.join(known)}"
        )
