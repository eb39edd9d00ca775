"""The decorator that makes a function a task."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from types import FunctionType
from typing import (
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypedDict,
    TypeVar,
    Unpack,
    overload,
)

from .codecs.annotations import announce
from .core.functions import AnyFunction, checker_of, kind_of, looking_like, name_of
from .core.validation import Validator, checked
from .places.namespaces import namespaces
from .places.registry import STREAM, Task
from .router import get_router
from .words.options import TaskOptions, check_name

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")
# Kept as it is declared, down to the last type argument: checkers look at more than the result.
K = TypeVar("K", bound=Coroutine[Any, Any, Any] | AsyncIterator[Any])


class CallOptions(TypedDict, total=False):
    """Options that may be changed from call to call; see :func:`atask`."""

    queue: str
    timeout: float | datetime.timedelta | None
    window: int


class DefinitionOptions(CallOptions, total=False):
    """Options of a task; see :func:`atask`."""

    name: str | None
    namespace: str
    executor: Literal["loop", "thread"] | None
    ack: Literal["late", "early"]
    max_attempts: int
    validate: bool


class TaskFunction(Generic[P, R_co]):
    """
    What :func:`atask` returns, for type checkers; when the program runs it is a plain function.

    It takes the parameters of the function, and returns what that is declared to return: a
    coroutine, or an async iterator. For a plain function it is a coroutine of the result. In a
    class it becomes a method, as a function does.
    """

    __name__: str
    __qualname__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the task; await the result, or iterate over it."""
        raise NotImplementedError

    def options(self, **options: Unpack[CallOptions]) -> TaskFunction[P, R_co]:
        """Return the same task with options changed for the calls made through it."""
        raise NotImplementedError

    # In this order: a class method by its class, anything else by its class, a method by an
    # instance, a class method by an instance, a static method by an instance. To mypy, ``self`` of
    # a class method is not general enough; that overload is for such tasks only.
    @overload
    def __get__(  # type: ignore[misc]
        self: Callable[Concatenate[type[S], Q], R], instance: None, owner: type[S], /
    ) -> Callable[Q, R]: ...

    @overload
    def __get__(self, instance: None, owner: type[Any], /) -> TaskFunction[P, R_co]: ...

    @overload
    def __get__(
        self: Callable[Concatenate[S, Q], R], instance: S, owner: type[Any] | None = None, /
    ) -> Callable[Q, R]: ...

    @overload
    def __get__(  # type: ignore[misc]
        self: Callable[Concatenate[type[S], Q], R], instance: S, owner: type[Any] | None = None, /
    ) -> Callable[Q, R]: ...

    @overload
    def __get__(
        self, instance: Any, owner: type[Any] | None = None, /
    ) -> TaskFunction[P, R_co]: ...

    def __get__(self, instance: Any, owner: type[Any] | None = None, /) -> Any:
        raise NotImplementedError


class Decorator(Protocol):
    """What :func:`atask` with options returns."""

    # The last one takes what the first do not: a checker tries them in this order.
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[P, K], /
    ) -> TaskFunction[P, K]: ...

    @overload
    def __call__(
        self, function: Callable[P, Awaitable[R]], /
    ) -> TaskFunction[P, Coroutine[None, None, R]]: ...

    @overload
    def __call__(
        self, function: Callable[P, R], /
    ) -> TaskFunction[P, Coroutine[None, None, R]]: ...


@overload
def atask(  # type: ignore[overload-overlap]
    function: Callable[P, K], /, **options: Unpack[DefinitionOptions]
) -> TaskFunction[P, K]: ...


@overload
def atask(
    function: Callable[P, Awaitable[R]], /, **options: Unpack[DefinitionOptions]
) -> TaskFunction[P, Coroutine[None, None, R]]: ...


@overload
def atask(
    function: Callable[P, R], /, **options: Unpack[DefinitionOptions]
) -> TaskFunction[P, Coroutine[None, None, R]]: ...


@overload
def atask(**options: Unpack[DefinitionOptions]) -> Decorator: ...


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
    function; ``__wrapped__`` is the function itself, and ``options(...)`` returns the same task
    with some options changed for the calls made through it.

    Args:
        function: A coroutine function, a plain function (it runs in a thread of the worker), or a
            plain function annotated as returning an awaitable (it runs on the loop).
        name: Name on the wire, the same on both sides; ``module:qualname`` by default.
        namespace: Namespace whose codec and transport carry it.
        queue: Name of the queue that carries its calls; workers choose which ones they serve.
        timeout: Longest time in seconds, or a timedelta, from call to end; then the body is
            cancelled and the caller gets ``TimeoutError``. ``None`` sets no limit.
        executor: ``"loop"`` or ``"thread"``, for a plain function.
        validate: Check the arguments of each call against the annotations of the function, here
            and on the worker; see :class:`~atasks_ng.words.options.TaskOptions`.

    Raises:
        OptionError: An option does not exist or is out of range, or needs a package that is not
            installed.
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
    check = Validator(function) if options.validate else checker_of(function)
    # The worker checks, too: who sends a call need not be this program.
    body = checked(function, check) if options.validate else function
    task = Task(name or name_of(function), namespace, body, kind, options)
    namespaces.get(namespace).registry.register(task)
    announce(function)
    return _stub(task, function, check, options)


def _stub(
    task: Task, function: AnyFunction, check: AnyFunction, options: TaskOptions
) -> FunctionType:
    namespace, place = task.namespace, namespaces.get(task.namespace)
    qualname = getattr(function, "__qualname__", task.name)
    name = getattr(function, "__name__", task.name)

    def stub(*args: Any, **kwargs: Any) -> Any:
        check(*args, **kwargs)
        router = place.router or get_router(namespace)
        coroutine: Any = router.call(task, options, args, kwargs)
        coroutine.__name__ = name
        coroutine.__qualname__ = qualname
        return coroutine

    def stream(*args: Any, **kwargs: Any) -> Any:
        check(*args, **kwargs)
        router = place.router or get_router(namespace)
        generator: Any = router.stream(task, options, args, kwargs)
        generator.__name__ = name
        generator.__qualname__ = qualname
        return generator

    shape = stream if task.kind == STREAM else stub
    made: Any = looking_like(_as_function(shape), function, task.kind)
    made.options = lambda **changes: _stub(task, function, check, options.replace(changes))
    result: FunctionType = made
    return result


def _as_function(function: AnyFunction) -> FunctionType:
    assert inspect.isfunction(function)
    return function
