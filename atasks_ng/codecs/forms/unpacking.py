"""From the bytes of a message to its value; hostile ones, too, in proportion to their number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgpack
from msgpack import ExtType, unpackb

from ...words.errors import DecodeError
from ..paths import shown
from . import bounds, wire
from .containers import make_dict
from .table import leaves, marks
from .wire import Mark

_Bytes: TypeAlias = bytes | memoryview

_SHORT_BYTES = 4096

_RESERVED = range(0x40, 0x60)  # extension codes of ours

_TUPLE_MARK = marks[wire.TUPLE]
_ARRAY_MARK = marks[wire.ARRAY]

_TOO_LONG = "a message of MsgpackCodec has something behind it"

# How to unpack what the fast way refuses.
_THOROUGH: dict[str, Any] = {
    "strict_map_key": False,
    "object_pairs_hook": make_dict,
    "unicode_errors": wire.UNICODE,
}


def decode(content: bytes) -> Any:
    """
    Return the value of any message.

    Raises:
        DecodeError: It is damaged, or of something else.
    """
    try:
        values = _decode_marked(content) if content[0] == wire.MARK else _decode_plain(content)
        if len(values) == 1:
            return values[0]
        args, kwargs = values
        if type(args) is list and type(kwargs) is dict:
            return tuple(args), kwargs
    except DecodeError:
        raise
    except msgpack.ExtraData:
        raise DecodeError(_TOO_LONG) from None  # it quotes what lies before
    except Exception as exc:
        raise DecodeError(f"these bytes are not of MsgpackCodec: {shown(exc)}") from exc
    raise DecodeError("these bytes of MsgpackCodec are neither a value nor arguments")


def _decode_plain(content: bytes) -> list[Any]:
    _check(content)
    try:
        return unpackb(content, ext_hook=read_leaf)  # type: ignore[no-any-return]  # by _check
    except DecodeError:
        raise
    except ValueError:
        # There are keys other than text, or lone surrogates. Only now is each dict looked at
        # before it is made.
        return unpackb(content, ext_hook=read_leaf, **_THOROUGH)  # type: ignore[no-any-return]


def _decode_marked(content: bytes) -> list[Any]:
    values, buffers = _parted(content)
    _check(values)
    try:
        return _unpack_marked(values, buffers)
    except DecodeError:
        raise
    except ValueError:
        return _unpack_marked(values, buffers, **_THOROUGH)


def _parted(content: bytes) -> tuple[_Bytes, _Bytes]:
    """Return the packed values of a marked message, and what travels behind them."""
    if content[1] != wire.OUT_OF_BAND[1]:
        # Of what is short, a copy costs less than a view.
        return (content if len(content) <= _SHORT_BYTES else memoryview(content))[1:], b""
    view = memoryview(content)
    start = len(wire.OUT_OF_BAND) + wire.SIZE.size
    (size,) = wire.SIZE.unpack_from(view, len(wire.OUT_OF_BAND))
    if size > len(view) - start:
        raise DecodeError("a message of MsgpackCodec that was cut short")
    return view[start : start + size], view[start + size :]


def _unpack_marked(
    values: _Bytes,
    buffers: _Bytes,
    # Not **options: to hand these on would take a tenth of the time of a small message.
    strict_map_key: bool = True,
    object_pairs_hook: Callable[[list[tuple[Any, Any]]], Any] | None = None,
    unicode_errors: str | None = None,
) -> list[Any]:
    # Marks that were read and whose array has not been. A closure: each step is for each tuple.
    open_marks = 0

    def read_extension(code: int, data: bytes) -> Any:
        nonlocal open_marks
        mark = marks.get(code)
        if mark is None:
            return read_leaf(code, data)
        if data:
            raise DecodeError(f"a mark with data: {code:#x}")
        open_marks += 1
        return mark

    def read_array(items: list[Any]) -> Any:
        nonlocal open_marks, buffers
        if items and type(items[0]) is Mark:
            open_marks -= 1
            mark = items.pop(0)
            if mark is _TUPLE_MARK:
                return tuple(items)
            if mark is _ARRAY_MARK:
                items[-1], buffers = _cut(buffers, items[-1])
            return mark.build(items)
        return items

    value = unpackb(
        values,
        ext_hook=read_extension,
        list_hook=read_array,
        strict_map_key=strict_map_key,
        object_pairs_hook=object_pairs_hook,
        unicode_errors=unicode_errors,
    )
    if open_marks:
        raise DecodeError("a mark that begins no array")
    if buffers:
        raise DecodeError(_TOO_LONG)
    if type(value) is not list:
        raise DecodeError("a mark in place of a value or arguments")
    return value


def _cut(buffers: _Bytes, size: Any) -> tuple[_Bytes, _Bytes]:
    """Return so many bytes from the start, and the rest."""
    if type(size) is not int or not 0 <= size <= len(buffers):
        raise DecodeError("the bytes of an array are not there")
    return buffers[:size], buffers[size:]


def _check(values: _Bytes) -> None:
    if values[0] not in (wire.VALUE, wire.ARGUMENTS):
        raise DecodeError(f"no message of MsgpackCodec begins with {values[0]:#x}")
    size = len(values)
    if size > bounds.MAX_RECEIVED and bounds.skip(values, bounds.MAX_RECEIVED) != size:
        raise DecodeError(_TOO_LONG)


def read_leaf(code: int, data: bytes) -> Any:
    """
    Return the value of an extension that is no mark.

    Raises:
        DecodeError: The code is one of ours and means nothing here.
    """
    read = leaves.get(code)
    if read is not None:
        return read(data)
    if code < 0 or code in _RESERVED:
        raise DecodeError(f"unknown extension {code:#x}")
    return ExtType(code, data)
