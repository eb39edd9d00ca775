"""The default codec: values of many types as msgpack, and never any code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
from msgpack import ExtType, unpackb

from ..words.errors import DecodeError, EncodeError
from .base import Codec
from .classes import recipe_of
from .forms import bounds, wire
from .forms.containers import make_dict
from .forms.lowering import Lowering, has_buffers
from .forms.table import find_form, forms, leaves, marks
from .forms.wire import Form, Mark
from .paths import is_call, locate, shown
from .records import CustomRecipe

# The first byte of a message that has composites in it; msgpack itself never uses that byte.
_MARK = 0xC1
_MARKED = bytes((_MARK,))
# Then: [value], or [args, kwargs].
_LAYOUTS = (0x91, 0x92)

# A packer keeps the largest buffer it ever had.
_MAX_KEPT_BYTES = 1024 * 1024

_TUPLE = wire.ext(wire.TUPLE)
_TUPLE_MARK = marks[wire.TUPLE]

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
            content = self._pack(_lay_out(obj))
            if len(content) > bounds.MAX_SENT:
                _refuse_depth(content)
            # Bytes in the message may be those of a bytearray or memoryview, which msgpack takes
            # for bytes: the codes of its three kinds of bytes hint that there may be any.
            if not (0xC4 in content or 0xC5 in content or 0xC6 in content):
                return content
            if not has_buffers(obj, is_plain=content[0] != _MARK):
                return content
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
            value = _decode(content)
            if len(value) == 1:
                return value[0]
            args, kwargs = value
            if type(args) is list and type(kwargs) is dict:
                return tuple(args), kwargs
        except DecodeError:
            raise
        except msgpack.ExtraData:
            raise DecodeError(_TOO_LONG) from None  # it quotes what lies before
        except Exception as exc:
            raise DecodeError(f"these bytes are not of MsgpackCodec: {shown(exc)}") from exc
        raise DecodeError("these bytes of MsgpackCodec are neither a value nor arguments")

    def _pack(self, layout: list[Any]) -> bytes:
        try:
            coder = self._coders.pop()
        except IndexError:
            coder = _Coder()
        content = coder.pack(layout)
        if len(content) < _MAX_KEPT_BYTES:
            self._coders.append(coder)
        return content


# -- encoding ----------------------------------------------------------------------------------


class _Coder:
    """A packer, and whether what it packs has composites in it."""

    __slots__ = ("_met", "_pack")

    def __init__(self, unicode_errors: str | None = None) -> None:
        # What the packer calls knows this list and not the coder: a cycle would keep the buffers
        # of dropped packers until the next collection.
        self._met: list[bool] = []
        self._pack = msgpack.Packer(
            default=_form_maker(self._met), strict_types=True, unicode_errors=unicode_errors
        ).pack

    def pack(self, layout: list[Any], has_composites: bool = False) -> bytes:
        """Return the message for ``[args, kwargs]`` or ``[value]``."""
        content: bytes = self._pack(layout)
        if self._met or has_composites:
            self._met.clear()
            return _MARKED + content
        return content


def _form_maker(met: list[bool]) -> Callable[[Any], Form]:
    def make_form(obj: Any) -> Form:
        if type(obj) is tuple:  # by far the most frequent, and in large numbers
            if not met:
                met.append(True)
            return [_TUPLE, *obj]
        make = forms.get(type(obj))
        form = find_form(obj) if make is None else make(obj)
        if type(form) is list and not met:
            met.append(True)
        return form

    return make_form


def _lay_out(obj: Any) -> list[Any]:
    # A tuple costs a mark, and that of the arguments is known to be one.
    return [list(obj[0]), obj[1]] if is_call(obj) else [obj]


def _refuse_depth(content: bytes) -> None:
    start = 1 if content[0] == _MARK else 0
    if bounds.is_too_deep(content, start, bounds.MAX_SENT):
        raise EncodeError(_TOO_DEEP)


def _encode_exactly(obj: Any) -> bytes:
    """Return the message for a value with buffers or lone surrogates in it."""
    try:
        return _pack_exactly(_lay_out(obj))
    except Exception as exc:
        raise _explained(obj, exc) from exc


def _pack_exactly(layout: list[Any]) -> bytes:
    lowering = Lowering()
    content = _Coder(_UNICODE).pack(lowering.lower(layout), lowering.has_composites)
    _refuse_depth(content)
    return content


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
    first = content[0]
    if first == _MARK:
        return _decode_marked(memoryview(content)[1:])
    _check(content, first)
    try:
        return unpackb(content, ext_hook=_read_leaf)
    except DecodeError:
        raise
    except ValueError:
        # There are keys other than text, or lone surrogates. Only now is each dict looked at
        # before it is made.
        return unpackb(content, ext_hook=_read_leaf, **_THOROUGH)


def _decode_marked(body: memoryview) -> Any:
    _check(body, body[0])
    try:
        return _unpack_marked(body)
    except DecodeError:
        raise
    except ValueError:
        return _unpack_marked(body, **_THOROUGH)


def _unpack_marked(body: memoryview, **options: Any) -> Any:
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
        nonlocal open_marks
        if items and type(items[0]) is Mark:
            open_marks -= 1
            mark = items.pop(0)
            return tuple(items) if mark is _TUPLE_MARK else mark.build(items)
        return items

    value = unpackb(body, ext_hook=read_extension, list_hook=read_array, **options)
    if open_marks:
        raise DecodeError("a mark that begins no array")
    return value


def _check(body: bytes | memoryview, first: int) -> None:
    if first not in _LAYOUTS:
        raise DecodeError(f"no message of MsgpackCodec begins with {first:#x}")
    if len(body) > bounds.MAX_RECEIVED and bounds.skip(body, bounds.MAX_RECEIVED) != len(body):
        raise DecodeError(_TOO_LONG)


def _read_leaf(code: int, data: bytes) -> Any:
    read = leaves.get(code)
    if read is not None:
        return read(data)
    if code < 0 or code in _RESERVED:
        raise DecodeError(f"unknown extension {code:#x}")
    return ExtType(code, data)
