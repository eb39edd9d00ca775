"""What a message may become: a value of the types of the manual, or a DecodeError."""

from __future__ import annotations

import collections
import dataclasses
import enum
from typing import Any

import msgpack

from atasks_ng.codecs import classes
from atasks_ng.codecs.forms import wire
from atasks_ng.words.errors import DecodeError

from ..codecs.samples import numpy
from .mutations import codec

_PARTED = (list, tuple, set, frozenset, collections.deque)
_LEAVES = (enum.Enum, numpy.ndarray, numpy.generic, msgpack.ExtType)


def decode(content: bytes) -> Any:
    """
    Return the value of a message, having looked at all of it; ``None`` if it is refused.

    Raises:
        AssertionError: There is a part of a type that the codec does not name.
        Exception: Anything but ``DecodeError`` that decoding raised.
    """
    try:
        value = codec.decode(content)
    except DecodeError:
        return None
    check(value)
    return value


def check(value: Any) -> None:
    """Raise ``AssertionError`` if some part of a value is of no type that the codec names."""
    todo, seen = [value], set()
    while todo:
        each = todo.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        assert is_supported(each), type(each)
        todo += _parts(each)


def is_supported(value: Any) -> bool:
    """Tell whether a value is of a type that the codec names."""
    cls = type(value)
    known = cls in wire.NATIVE or cls in classes.forms
    return known or isinstance(value, (*_LEAVES, BaseException, type))


def _parts(value: Any) -> list[Any]:
    if isinstance(value, (*_LEAVES, type)):
        return []
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, _PARTED):
        return list(value)
    if isinstance(value, slice):
        return [value.start, value.stop, value.step]
    if isinstance(value, BaseException):
        found = [value.__cause__, value.__context__, *value.args, *vars(value).values()]
        return [each for each in found if each is not None]
    if dataclasses.is_dataclass(value):
        return list(getattr(value, "__dict__", {}).values())
    return []
