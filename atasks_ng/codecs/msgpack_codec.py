"""The default codec: values of many types as msgpack, and never any code."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, TypeAlias

import msgpack
from msgpack import ExtType, unpackb

from ..words.errors import DecodeError, EncodeError
from .base import Codec
from .classes import recipe_of
from .forms import bounds, wire
from .forms.containers import make_dict
from .forms.lowering import Lowering, has_buffers
from .forms.table import find_form, forms, leaves, marks
from .forms.wire import Form, Mark, OutOfBand
from .paths import is_call, locate, shown
from .records import CustomRecipe

# The first byte of a message that has composites in it; msgpack itself never uses that byte.
_MARK = 0xC1
_MARKED = bytes((_MARK,))
# Then: [value], or [args, kwargs].
_VALUE, _ARGUMENTS = 0x91, 0x92
# With arrays in it: this byte, the size of that in four bytes, that, and the bytes out of band.
_BIN_32 = 0xC6
_HEAD = struct.Struct(">BI")

# A packer keeps the largest buffer it ever had.
_MAX_KEPT_BYTES = 1024 * 1024

# Up to here a message is not too deep, for each level takes a byte, and has no bytes whose length
# does not fit into one.
_SMALL_BYTES = 256

_TUPLE = wire.ext(wire.TUPLE)
_TUPLE_MARK = marks[wire.TUPLE]
_ARRAY_MARK = marks[wire.ARRAY]

_Bytes: TypeAlias = bytes | memoryview

_RESERVED = range(0x40, 0x60)  # extension codes of ours
_UNICODE = "surrogatepass"  # lone surrogates: os.fsdecode() makes them

_TOO_DEEP = "a value that contains itself, or is nested too deep, cannot be encoded"
_TOO_LONG = "a message of MsgpackCodec has something behind it"

# How to unpack what the fast way refuses.
_THOROUGH: dict[str, Any] = {
    "strict_map_key": False,
    "object_pairs_hook": make_dict,
    "unicode_errors": _UNICODE,
}


class MsgpackCodec(Codec):
    """
    Values as themselves, as data: the default codec.

    Exact in type and value: ``None``, ``bool``, ``int`` of any size, ``float``, ``complex``,
    ``str``, ``bytes``, ``bytearray``, ``list``, ``tuple``, ``set``, ``frozenset``, ``dict`` with
    any such keys, in order; ``OrderedDict``, ``Counter``, ``deque``, ``defaultdict`` of a built-in
    factory; dates, times, durations, time zones; ``Decimal``, ``Fraction``, ``UUID``, paths,
    ``range``, ``slice``, ``...``; numpy arrays and scalars; exceptions, without their tracebacks;
    and instances of the enums, named tuples, dataclasses, attrs classes and pydantic models that
    the tasks of this process mention or their modules declare, or that were given to
    :func:`register`.

    Anything else is an :class:`EncodeError`, subclasses of these types included, so that nothing
    loses its type on the way. Two references to one object arrive as two objects. A path arrives
    as a path of the machine it arrives on. ``msgpack.ExtType`` arrives as itself, except with
    codes 64 to 95, which are ours.

    Decoding only builds values of these types. It imports nothing, calls no constructor that was
    not registered, and answers any bytes with a value or :class:`DecodeError`. Values may be
    nested 256 levels deep when encoding and 512 when decoding, where an object counts as two;
    declared lengths are held against the bytes there are; keys that collide are refused.

    The bytes of numpy arrays are copied once when encoding and once when decoding: they travel
    behind all values, and an array that arrives keeps nothing else of its message.
    """

    def __init__(self, namespace: str = "default") -> None:
        super().__init__(namespace)
        # Coders at rest. A coder in use is in nobody else's hands: a form may be made by code of
        # the user, which may encode something itself, or let another thread run.
        self._coders: list[_Coder] = []

    def encode(self, obj: Any) -> bytes:
        """
        Return the bytes that stand for a value.

        Raises:
            EncodeError: Some part of it has no form; the sentence tells where it sits, what it
                is, and the way out.
        """
        try:
            coder = self._coders.pop()
        except IndexError:
            coder = _Coder()
        try:
            # Not by _lay_out(): its two calls would take a tenth of the time of a small message.
            if type(obj) is tuple and len(obj) == 2:
                args, kwargs = obj
                if type(args) is tuple and type(kwargs) is dict:
                    values = coder.pack([[*args], kwargs])
                else:
                    values = coder.pack([obj])
            else:
                values = coder.pack([obj])
            # What most messages are, in few steps.
            if len(values) <= _SMALL_BYTES and not coder.met and 0xC4 not in values:
                self._coders.append(coder)
                return values
            return self._finish(obj, coder, values)
        except UnicodeEncodeError:
            pass  # lone surrogates
        except Exception as exc:
            raise _explained(obj, exc) from exc
        return _encode_exactly(obj)

    def decode(self, content: bytes) -> Any:
        """
        Return the value that bytes stand for.

        Raises:
            DecodeError: The bytes do not come from this codec, or name a class not known here.
        """
        try:
            # What most messages are, in few steps. Whatever is odd comes again below.
            if len(content) <= _SMALL_BYTES:
                first = content[0]
                if first == _ARGUMENTS:
                    args, kwargs = unpackb(content, ext_hook=_read_leaf)
                    if type(args) is list and type(kwargs) is dict:
                        return tuple(args), kwargs
                elif first == _VALUE:
                    return unpackb(content, ext_hook=_read_leaf)[0]
        except Exception:
            pass
        return _decode(content)

    def _finish(self, obj: Any, coder: _Coder, values: bytes) -> bytes:
        """Return the message for a value that was packed."""
        content = coder.mark(values) if coder.met else values
        if len(values) < _MAX_KEPT_BYTES:
            self._coders.append(coder)
        if len(values) > _SMALL_BYTES:
            _refuse_depth(values)
        # Bytes in the message may be those of a bytearray or memoryview, which msgpack takes for
        # bytes: the codes of its three kinds of bytes hint that there may be any.
        may_hold = 0xC4 in values or 0xC5 in values or 0xC6 in values
        if may_hold and has_buffers(obj, is_plain=content is values):
            return _pack_exactly(_lay_out(obj))
        return content


# -- encoding ----------------------------------------------------------------------------------


class _Coder:
    """
    A packer, and what it met meanwhile.

    Attributes:
        pack: Returns ``[args, kwargs]`` or ``[value]`` as msgpack.
        met: Whether there are composites in what was packed: empty if not.
    """

    __slots__ = ("_buffers", "met", "pack")

    def __init__(self, unicode_errors: str | None = None) -> None:
        # What the packer calls knows these lists and not the coder: a cycle would keep the buffers
        # of dropped packers until the next collection.
        self.met: list[bool] = []
        self._buffers: list[bytes | memoryview] = []
        self.pack: Callable[[list[Any]], bytes] = msgpack.Packer(
            default=_form_maker(self.met, self._buffers),
            strict_types=True,
            unicode_errors=unicode_errors,
        ).pack

    def mark(self, values: bytes) -> bytes:
        """Return the message for packed values among which composites were met; forget these."""
        self.met.clear()
        if not self._buffers:
            return _MARKED + values
        content = b"".join((_MARKED, _HEAD.pack(_BIN_32, len(values)), values, *self._buffers))
        self._buffers.clear()
        return content


def _form_maker(met: list[bool], buffers: list[bytes | memoryview]) -> Callable[[Any], Form]:
    def make_form(obj: Any) -> Form:
        cls = type(obj)
        if cls is tuple:  # by far the most frequent, and in large numbers
            if not met:
                met.append(True)
            return [_TUPLE, *obj]
        if cls is OutOfBand:
            buffers.append(obj.content)
            return len(obj.content)
        make = forms.get(cls)
        form = find_form(obj) if make is None else make(obj)
        if type(form) is list and not met:
            met.append(True)
        return form

    return make_form


def _lay_out(obj: Any) -> list[Any]:
    # A tuple costs a mark, and that of the arguments is known to be one.
    if is_call(obj):
        args, kwargs = obj
        return [[*args], kwargs]
    return [obj]


def _refuse_depth(values: bytes) -> None:
    if bounds.is_too_deep(values, bounds.MAX_SENT):
        raise EncodeError(_TOO_DEEP)


def _encode_exactly(obj: Any) -> bytes:
    """Return the message for a value with buffers or lone surrogates in it."""
    try:
        return _pack_exactly(_lay_out(obj))
    except Exception as exc:
        raise _explained(obj, exc) from exc


def _pack_exactly(layout: list[Any]) -> bytes:
    lowering = Lowering()
    coder = _Coder(_UNICODE)
    values = coder.pack(lowering.lower(layout))
    _refuse_depth(values)
    return coder.mark(values) if lowering.has_composites or coder.met else values


def _explained(obj: Any, exc: Exception) -> EncodeError:
    """Return the error that tells which part of a value cannot be encoded, and why."""
    path, part = locate(obj, lambda part: _problem(part) is None, _is_open)
    return EncodeError(f"{path}: {_reason(_problem(part) or exc)}")


def _problem(part: Any) -> Exception | None:
    try:
        _pack_exactly([part])
    except Exception as exc:
        return exc
    return None


def _reason(exc: Exception) -> str:
    if isinstance(exc, EncodeError):
        return str(exc)
    if isinstance(exc, RecursionError) or "recursion limit" in str(exc):
        return _TOO_DEEP
    return f"a value that cannot be encoded ({shown(exc)})"


def _is_open(value: Any) -> bool:
    """Tell whether a value travels as its attributes."""
    recipe = recipe_of(type(value))
    if recipe is None:
        return isinstance(value, BaseException)
    return not isinstance(recipe, CustomRecipe)


# -- decoding ----------------------------------------------------------------------------------


def _decode(content: bytes) -> Any:
    """Return the value of any message."""
    try:
        values = _decode_marked(content) if content[0] == _MARK else _decode_plain(content)
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
        return unpackb(content, ext_hook=_read_leaf)  # type: ignore[no-any-return]  # by _check
    except DecodeError:
        raise
    except ValueError:
        # There are keys other than text, or lone surrogates. Only now is each dict looked at
        # before it is made.
        return unpackb(content, ext_hook=_read_leaf, **_THOROUGH)  # type: ignore[no-any-return]


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
    if len(content) <= _SMALL_BYTES and content[1] != _BIN_32:
        return content[1:], b""  # a copy costs less than a view
    view = memoryview(content)
    if view[1] != _BIN_32:
        return view[1:], b""
    _, size = _HEAD.unpack_from(view, 1)
    start = 1 + _HEAD.size
    if size > len(view) - start:
        raise DecodeError("a message of MsgpackCodec that was cut short")
    return view[start : start + size], view[start + size :]


def _unpack_marked(values: _Bytes, buffers: _Bytes, **options: Any) -> list[Any]:
    # Marks that were read and whose array has not been. A closure: each step is for each tuple.
    open_marks = 0

    def read_extension(code: int, data: bytes) -> Any:
        nonlocal open_marks
        mark = marks.get(code)
        if mark is None:
            return _read_leaf(code, data)
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

    value = unpackb(values, ext_hook=read_extension, list_hook=read_array, **options)
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
    if values[0] not in (_VALUE, _ARGUMENTS):
        raise DecodeError(f"no message of MsgpackCodec begins with {values[0]:#x}")
    size = len(values)
    if size > _SMALL_BYTES and bounds.skip(values, bounds.MAX_RECEIVED) != size:
        raise DecodeError(_TOO_LONG)


def _read_leaf(code: int, data: bytes) -> Any:
    read = leaves.get(code)
    if read is not None:
        return read(data)
    if code < 0 or code in _RESERVED:
        raise DecodeError(f"unknown extension {code:#x}")
    return ExtType(code, data)
