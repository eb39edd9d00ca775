"""The tasks of a namespace, by name."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from typing import Any

from ..words.errors import RegisteredTwiceError
from ..words.options import TaskOptions

#: Kinds of body: how its result is got.
COROUTINE, STREAM, AWAITABLE, PLAIN = "coroutine", "stream", "awaitable", "plain"


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """
    A function that workers perform.

    Attributes:
        name: Its name on the wire, ``module:qualname`` unless another was given.
        namespace: Its namespace.
        function: What workers call: the function as it was written, perhaps behind a check of its
            arguments.
        kind: ``"coroutine"``, ``"stream"`` (an async generator), ``"awaitable"`` (a plain
            function whose result is awaited on the loop) or ``"plain"`` (runs in a thread).
        options: Its options.
        shown_arguments: What errors call its arguments.
        shown_result: What errors call its result.
    """

    name: str
    namespace: str
    function: Callable[..., Any]
    kind: str
    options: TaskOptions
    shown_arguments: str = dataclasses.field(init=False)
    shown_result: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shown_arguments", f"the arguments of {self.name!r}")
        object.__setattr__(self, "shown_result", f"the result of {self.name!r}")


class Registry:
    """
    The tasks of one namespace.

    Args:
        namespace: Its name, for errors.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._tasks: dict[str, Task] = {}

    def register(self, task: Task) -> None:
        """
        Add a task; the same function again (a module imported twice) replaces it.

        Raises:
            RegisteredTwiceError: Another function has this name.
        """
        known = self._tasks.get(task.name)
        if known is not None and not _is_same(known.function, task.function):
            raise RegisteredTwiceError(
                task.name, self._namespace, where(known.function), where(task.function)
            )
        self._tasks[task.name] = task

    def unregister(self, name: str) -> None:
        """Forget a task; unknown names are no error."""
        self._tasks.pop(name, None)

    def get(self, name: str) -> Task | None:
        """Return the task of that name, or ``None``."""
        return self._tasks.get(name)

    def __iter__(self) -> Iterator[Task]:
        return iter(list(self._tasks.values()))

    def __len__(self) -> int:
        return len(self._tasks)


def where(function: Callable[..., Any]) -> str:
    """Return where a function was defined, for people: ``file:line``."""
    code = _code(function)
    if code is None:
        return repr(function)
    return f"{code.co_filename}:{code.co_firstlineno}"


def _code(function: Any) -> Any:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    function = getattr(function, "func", function)
    code = getattr(function, "__code__", None)
    # An object that is called like a function is known by what is called.
    return code or getattr(type(function).__call__, "__code__", None)


def _is_same(first: Any, second: Any) -> bool:
    if first is second:
        return True
    one, other = _code(first), _code(second)
    if one is None or other is None:
        return False
    if one == other:
        return True
    # At a prompt or in a notebook, defining a function again is how one works.
    module = sys.modules.get(getattr(second, "__module__", None) or "")
    interactive = module is not None and not hasattr(module, "__file__")
    return interactive and bool(one.co_qualname == other.co_qualname)
