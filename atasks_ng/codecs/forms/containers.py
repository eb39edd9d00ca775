"""Forms of containers other than ``list`` and ``dict``, and dicts with keys other than text."""

from __future__ import annotations

import collections
from collections.abc import Callable, Collection, Iterable
from typing import Any

from ...words.errors import DecodeError, EncodeError
from . import wire
from .wire import Form, ext

# From this size on, keys are looked at before they are hashed into a table: the sender chooses
# the hashes of numbers and tuples, and a table of keys that collide costs their number squared.
_MAX_UNCHECKED = 100
# 100 keys of one hash cost 50 comparisons each; keys that nobody forged share it by accident.
_MAX_COLLIDING = 100

# A range divides its numbers when it is made, hashed and compared, which costs the square of their
# length: 0.4 ms at this one.
_MAX_RANGE_BITS = 64 * 1024

_FACTORIES: dict[str, Any] = {
    cls.__name__: cls for cls in (list, dict, set, tuple, int, float, str, bytes, bool)
}


def _mark(code: int) -> Callable[[Iterable[Any]], Form]:
    mark = ext(code)
    return lambda items: [mark, *items]


def _refuse_collisions(keys: Collection[Any]) -> None:
    if len(keys) <= _MAX_UNCHECKED:
        return
    if max(collections.Counter(map(hash, keys)).values()) > _MAX_COLLIDING:
        raise DecodeError(f"more than {_MAX_COLLIDING} keys of one container have the same hash")


def make_dict(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """
    Return a dict with keys of any kind.

    Raises:
        DecodeError: The keys were chosen to collide.
        TypeError: A key cannot be hashed.
    """
    _refuse_collisions([key for key, _ in pairs] if len(pairs) > _MAX_UNCHECKED else ())
    return dict(pairs)


def _set(items: list[Any]) -> set[Any]:
    _refuse_collisions(items)
    return set(items)


def _frozenset(items: list[Any]) -> frozenset[Any]:
    _refuse_collisions(items)
    return frozenset(items)


def _range_form(value: range) -> Form:
    if _bits_of(value.start, value.stop, value.step) > _MAX_RANGE_BITS:
        raise EncodeError(
            f"a range whose numbers have more than {_MAX_RANGE_BITS} bits cannot be encoded"
        )
    return [_RANGE, value.start, value.stop, value.step]


def _range(parts: list[Any]) -> range:
    start, stop, step = parts
    if type(start) is not int or type(stop) is not int or type(step) is not int:
        raise DecodeError("a range that is not of whole numbers")
    if _bits_of(start, stop, step) > _MAX_RANGE_BITS:
        raise DecodeError(f"a range whose numbers have more than {_MAX_RANGE_BITS} bits")
    return range(start, stop, step)


def _bits_of(*numbers: int) -> int:
    return sum(number.bit_length() for number in numbers)


def _slice(parts: list[Any]) -> slice:
    start, stop, step = parts
    return slice(start, stop, step)


def _ordered(parts: list[Any]) -> collections.OrderedDict[Any, Any]:
    (content,) = parts
    return collections.OrderedDict(_a_dict(content))


def _counter(parts: list[Any]) -> collections.Counter[Any]:
    (content,) = parts
    return collections.Counter(_a_dict(content))


def _defaultdict_form(value: collections.defaultdict[Any, Any]) -> Form:
    factory = value.default_factory
    name = None if factory is None else getattr(factory, "__name__", "")
    if name is not None and _FACTORIES.get(name) is not factory:
        raise EncodeError(
            "a defaultdict cannot be encoded unless its factory is a built-in type: "
            "pass dict(...) instead, or use CloudpickleCodec"
        )
    return [_DEFAULT_DICT, name, dict(value)]


def _defaultdict(parts: list[Any]) -> collections.defaultdict[Any, Any]:
    name, content = parts
    factory = None if name is None else _FACTORIES[name]
    return collections.defaultdict(factory, _a_dict(content))


def _deque(parts: list[Any]) -> collections.deque[Any]:
    limit, *items = parts
    return collections.deque(items, limit)


def _a_dict(content: Any) -> dict[Any, Any]:
    if type(content) is not dict:
        raise DecodeError(f"a dict was expected, not {type(content).__name__}")
    return content


_ORDERED_DICT, _COUNTER = ext(wire.ORDERED_DICT), ext(wire.COUNTER)
_DEFAULT_DICT, _DEQUE = ext(wire.DEFAULT_DICT), ext(wire.DEQUE)
_RANGE, _SLICE = ext(wire.RANGE), ext(wire.SLICE)

FORMS: dict[type, Callable[[Any], Form]] = {
    tuple: _mark(wire.TUPLE),
    set: _mark(wire.SET),
    frozenset: _mark(wire.FROZENSET),
    range: _range_form,
    slice: lambda value: [_SLICE, value.start, value.stop, value.step],
    collections.OrderedDict: lambda value: [_ORDERED_DICT, dict(value)],
    collections.Counter: lambda value: [_COUNTER, dict(value)],
    collections.defaultdict: _defaultdict_form,
    collections.deque: lambda value: [_DEQUE, value.maxlen, *value],
}

COMPOSITES: dict[int, Callable[[list[Any]], Any]] = {
    wire.TUPLE: tuple,
    wire.SET: _set,
    wire.FROZENSET: _frozenset,
    wire.RANGE: _range,
    wire.SLICE: _slice,
    wire.ORDERED_DICT: _ordered,
    wire.COUNTER: _counter,
    wire.DEFAULT_DICT: _defaultdict,
    wire.DEQUE: _deque,
}
