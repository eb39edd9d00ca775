"""Words for errors: where in a value the part sits that cannot be encoded, and what it is."""

from __future__ import annotations

import collections
import dataclasses
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

# Errors are read by people, and travel.
_MAX_SHOWN = 200
_MAX_STEPS = 40


def locate(
    value: Any,
    is_encodable: Callable[[Any], bool],
    has_parts: Callable[[Any], bool],
) -> tuple[str, Any]:
    """
    Find the innermost part of a value that cannot be encoded.

    Args:
        value: A value that cannot be encoded; of ``(args, kwargs)`` paths begin with those names.
        is_encodable: Tells whether a part can be encoded alone.
        has_parts: Tells whether to look at the attributes of an object that is no container.

    Returns:
        The path to it, as in ``args[1]['k'].handle``, and the part.
    """
    path, above = "", {id(value)}
    if is_call(value):
        steps = _steps_of_call(value)
    else:
        path, steps = "value", _steps(value, has_parts)
    # Each step encodes the rest once more, and what is nested too deep goes on for long.
    while len(above) <= _MAX_STEPS:
        try:
            bad = next(((step, part) for step, part in steps if not is_encodable(part)), None)
        except Exception:
            break  # a container that cannot even be walked over
        if bad is None:
            break
        path, value = path + bad[0], bad[1]
        if id(value) in above:  # it contains itself
            break
        above.add(id(value))
        steps = _steps(value, has_parts)
    return _shortened(path) or "value", value


def has_attributes(value: Any) -> bool:
    """Tell whether a value is an object of which its attributes are all there is."""
    return not isinstance(value, (type, types.ModuleType, types.FunctionType, types.MethodType))


def is_call(value: Any) -> bool:
    """Tell whether a value is a pair of arguments: ``(args, kwargs)``."""
    return (
        type(value) is tuple
        and len(value) == 2
        and type(value[0]) is tuple
        and type(value[1]) is dict
    )


def _steps_of_call(call: tuple[Any, Any]) -> Iterator[tuple[str, Any]]:
    args, kwargs = call
    for index, part in enumerate(args):
        yield f"args[{index}]", part
    for name, part in kwargs.items():
        yield f"kwargs[{_key(name)}]", part


def _steps(value: Any, has_parts: Callable[[Any], bool]) -> Iterator[tuple[str, Any]]:
    """Yield what a value consists of, each part with what it adds to the path."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        yield from ((f".{name}", part) for name, part in zip(value._fields, value, strict=False))
    elif isinstance(value, (list, tuple, collections.deque)):
        yield from ((f"[{index}]", part) for index, part in enumerate(value))
    elif isinstance(value, Mapping):
        yield from ((f"{{{_key(key)}}}", key) for key in value)
        yield from ((f"[{_key(key)}]", part) for key, part in value.items())
    elif isinstance(value, (set, frozenset)):
        yield from ((f"{{{_key(part)}}}", part) for part in value)
    if has_parts(value):
        yield from ((f".{name}", part) for name, part in _attributes(value))


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, BaseException):
        parts = ("exceptions", "args", "__cause__", "__context__")
        yield from ((name, getattr(value, name)) for name in parts if hasattr(value, name))
    yield from getattr(value, "__dict__", {}).items()
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    else:
        names = [field.name for field in getattr(value, "__attrs_attrs__", ())]
    for name in names:
        if hasattr(value, name):
            yield name, getattr(value, name)


def _shortened(path: str) -> str:
    half = _MAX_SHOWN // 2
    return path if len(path) <= _MAX_SHOWN else f"{path[:half]} ... {path[-half:]}"


def type_name(cls: type) -> str:
    """Return the name of a class for people: without the module if it is a built-in."""
    if cls.__module__ == "builtins":
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"


def shown(value: Any) -> str:
    """Return the ``repr`` of a value, cut short; the name of its type if it has none."""
    try:
        text = repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _key(key: Any) -> str:
    if type(key) in (str, int, bytes, bool, float, type(None)):
        return shown(key)
    return f"<{type(key).__name__}>"
