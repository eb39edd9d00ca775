"""The decorator that makes a function a task."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from types import FunctionType
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from .codecs.annotations import announce
from .core.functions import AnyFunction, checker_of, kind_of, looking_like, name_of
from .places.namespaces import namespaces
from .places.registry import STREAM, Task
from .router import get_router
from .words.options import TaskOptions, check_name

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class TaskFunction(Protocol, Generic[P, R_co]):
    """What :func:`atask` returns: the function's own parameters, and a result to await."""

    __wrapped__: Callable[..., Any]
    __name__: str
    __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R_co]:
        """Call the task; await the result."""

    def options(
        self, *, queue: str = ..., timeout: float | None = ...
    ) -> TaskFunction[P, R_co]:
        """Return the same task with options changed."""


class Decorator(Protocol):
    """What :func:`atask` with options returns."""

    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> TaskFunction[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> TaskFunction[P, R]: ...


@overload
def atask(
    function: Callable[P, Awaitable[R]],
    /,
    *,
    name: str | None = ...,
    namespace: str = ...,
    queue: str = ...,
    timeout: float | None = ...,
    executor: str | None = ...,
) -> TaskFunction[P, R]: ...


@overload
def atask(
    function: Callable[P, R],
    /,
    *,
    name: str | None = ...,
    namespace: str = ...,
    queue: str = ...,
    timeout: float | None = ...,
    executor: str | None = ...,
) -> TaskFunction[P, R]: ...


@overload
def atask(
    *,
    name: str | None = ...,
    namespace: str = ...,
    queue: str = ...,
    timeout: float | None = ...,
    executor: str | None = ...,
) -> Decorator: ...


def atask(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    namespace: str = "default",
    **options: Any,
) -> Any:
    """
    Make a function a task: awaiting it runs its body on a worker.

    Used bare (``@atask``), with options (``@atask(timeout=30)``), or as a call
    (``f = atask(fn, name="f")``). What comes back has the signature, the name and the types of the
    function; ``__wrapped__`` is the function itself, and ``options(...)`` returns the same task with
    some options changed for the calls made through it.

    Args:
        function: A coroutine function, a plain function (it runs in a thread of the worker), or a
            plain function annotated as returning an awaitable (it runs on the loop).
        name: Name on the wire, the same on both sides; ``module:qualname`` by default.
        namespace: Namespace whose codec and transport carry it.
        queue: Name of the queue that carries its calls; workers choose which ones they serve.
        timeout: Longest time in seconds, or a timedelta, from call to end; then the body is
            cancelled and the caller gets ``TimeoutError``. ``None`` sets no limit.
        executor: ``"loop"`` or ``"thread"``, for a plain function.

    Raises:
        OptionError: An option does not exist or is out of range.
        RegisteredTwiceError: Another function has this name.
        TypeError: What was decorated cannot be called.
    """
    record = TaskOptions.make(options)
    check_name("namespace", namespace)
    if function is None:
        return lambda function: _make(function, name, namespace, record)
    return _make(function, name, namespace, record)


def _make(function: Any, name: str | None, namespace: str, options: TaskOptions) -> FunctionType:
    # Within a class body, @atask may stand above @staticmethod or @classmethod.
    if isinstance(function, (staticmethod, classmethod)):
        made = _make(function.__func__, name, namespace, options)
        return type(function)(made)  # type: ignore[return-value]
    if not callable(function):
        raise TypeError(f"@atask needs a function, not {function!r}")
    kind = kind_of(function, options.executor)
    task = Task(name or name_of(function), namespace, function, kind, options)
    namespaces.get(namespace).registry.register(task)
    announce(function)
    return _stub(task, options)


def _stub(task: Task, options: TaskOptions) -> FunctionType:
    check = checker_of(task.function)
    namespace = task.namespace
    qualname = getattr(task.function, "__qualname__", task.name)
    name = getattr(task.function, "__name__", task.name)

    def stub(*args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        check(*args, **kwargs)
        coroutine = get_router(namespace).call(task, options, args, kwargs)
        coroutine.__name__ = name
        coroutine.__qualname__ = qualname
        return coroutine

    def stream(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        check(*args, **kwargs)
        generator = get_router(namespace).stream(task, options, args, kwargs)
        generator.__name__ = name
        generator.__qualname__ = qualname
        return generator

    shape = stream if task.kind == STREAM else stub
    made: Any = looking_like(_as_function(shape), task.function, task.kind)
    made.options = lambda **changes: _stub(task, options.replace(changes))
    result: FunctionType = made
    return result


def _as_function(function: AnyFunction) -> FunctionType:
    assert inspect.isfunction(function)
    return function
