"""What kind of function a task is, and functions that look like it from outside."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Awaitable, Callable
from types import CodeType, FunctionType
from typing import Any

from ..places.registry import AWAITABLE, COROUTINE, PLAIN, STREAM
from ..words.modules import real_name

AnyFunction = Callable[..., Any]


def kind_of(function: AnyFunction, executor: str | None) -> str:
    """Return how the result of a function is got: see :class:`~atasks_ng.places.registry.Task`."""
    if inspect.isasyncgenfunction(function):
        return STREAM
    if inspect.iscoroutinefunction(function):
        return COROUTINE
    if executor is not None:
        return AWAITABLE if executor == "loop" else PLAIN
    # A wrapper that returns what the coroutine function below it returns.
    inner = inspect.unwrap(function)
    if inspect.iscoroutinefunction(inner) or _promises_awaitable(function):
        return AWAITABLE
    return PLAIN


def _promises_awaitable(function: AnyFunction) -> bool:
    try:
        result = typing.get_type_hints(function).get("return")
    except Exception:
        return False  # an annotation that cannot be resolved says nothing
    origin = typing.get_origin(result) or result
    return isinstance(origin, type) and issubclass(origin, Awaitable)


def name_of(function: AnyFunction) -> str:
    """Return the default name of a task: ``module:qualname``."""
    while isinstance(function, functools.partial):
        function = function.func
    qualname = getattr(function, "__qualname__", None) or type(function).__qualname__
    module = getattr(function, "__module__", None) or type(function).__module__
    return f"{real_name(module)}:{qualname}"


def checker_of(function: AnyFunction) -> AnyFunction:
    """
    Return a function that does nothing but refuse the arguments that the given one would.

    It has the same parameters, so the ``TypeError`` is Python's own, message and all, at C speed.
    """
    if not isinstance(function, FunctionType):
        try:
            return inspect.signature(function).bind
        except (TypeError, ValueError):
            return _accept
    code = function.__code__
    arguments = code.co_argcount + code.co_kwonlyargcount
    arguments += bool(code.co_flags & inspect.CO_VARARGS)
    arguments += bool(code.co_flags & inspect.CO_VARKEYWORDS)
    flags = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    empty: CodeType = _nothing.__code__.replace(
        co_argcount=code.co_argcount,
        co_posonlyargcount=code.co_posonlyargcount,
        co_kwonlyargcount=code.co_kwonlyargcount,
        co_varnames=code.co_varnames[:arguments],
        co_nlocals=arguments,
        co_flags=flags | inspect.CO_OPTIMIZED | inspect.CO_NEWLOCALS,
        co_name=code.co_name,
        co_qualname=function.__qualname__,
    )
    check = FunctionType(empty, {}, function.__name__, function.__defaults__)
    check.__kwdefaults__ = function.__kwdefaults__
    check.__qualname__ = function.__qualname__
    return check


def looking_like(stub: FunctionType, function: AnyFunction, kind: str) -> FunctionType:
    """
    Return a function that does what ``stub`` does and shows what ``function`` shows.

    Name, documentation, annotations and signature are those of ``function``, and ``inspect`` finds
    a coroutine function, or an async generator function, as callers see it.
    """
    flag = inspect.CO_ASYNC_GENERATOR if kind == STREAM else inspect.CO_COROUTINE
    # The flag is what inspect and asyncio look at. markcoroutinefunction() says the same since
    # Python 3.12, and nothing says it for async generators.
    code = stub.__code__.replace(
        co_flags=stub.__code__.co_flags | flag,
        co_name=getattr(function, "__name__", stub.__name__),
    )
    made = FunctionType(code, stub.__globals__, stub.__name__, None, stub.__closure__)
    functools.update_wrapper(made, function)
    # Only shown: with no named parameters, a function has no use for them.
    made.__defaults__ = getattr(function, "__defaults__", None)
    made.__kwdefaults__ = getattr(function, "__kwdefaults__", None)
    return made


def _nothing() -> None:
    """The code of this function is what a checker runs."""


def _accept(*args: Any, **kwargs: Any) -> None:
    """Used where the parameters of a callable cannot be known."""
