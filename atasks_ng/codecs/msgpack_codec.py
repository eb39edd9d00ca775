"""The default codec: values of many types as msgpack, and never any code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
from msgpack import unpackb

from ..words.errors import EncodeError
from .base import Codec
from .classes import recipe_of
from .forms import bounds, unpacking, wire
from .forms.lowering import Lowering, has_buffers
from .forms.table import find_form, forms
from .forms.unpacking import read_leaf
from .forms.wire import ARGUMENTS, UNICODE, VALUE, Form, OutOfBand
from .paths import is_call, locate, shown
from .records import CustomRecipe

# A packer keeps the largest buffer it ever had.
_MAX_KEPT_BYTES = 1024 * 1024

# Up to here a message that is sent is not too deep, for each level takes a byte, and has no bytes
# whose length does not fit into one.
_SMALL_BYTES = 256
# Up to here one that is received is not too deep.
_SHALLOW_BYTES = bounds.MAX_RECEIVED

_TUPLE = wire.ext(wire.TUPLE)
_TOO_DEEP = "a value that contains itself, or is nested too deep, cannot be encoded"


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
            if len(content) <= _SHALLOW_BYTES:
                first = content[0]
                if first == ARGUMENTS:
                    args, kwargs = unpackb(content, ext_hook=read_leaf)
                    if type(args) is list and type(kwargs) is dict:
                        return tuple(args), kwargs
                elif first == VALUE:
                    return unpackb(content, ext_hook=read_leaf)[0]
        except Exception:
            pass
        return unpacking.decode(content)

    def _finish(self, obj: Any, coder: _Coder, values: bytes) -> bytes:
        """Return the message for a value that was packed."""
        content = coder.mark(values) if coder.met else values
        if len(values) < _MAX_KEPT_BYTES:
            self._coders.append(coder)
        if len(values) > _SMALL_BYTES:
            _refuse_depth(values)
        # Bytes in the message may be those of a bytearray or memoryview, which msgpack takes for
        # bytes: the codes of its three kinds of bytes hint that there may be any.
        # That of the longest first: in a large message it is likely, and near the front.
        may_hold = 0xC6 in values or 0xC5 in values or 0xC4 in values
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
            return wire.MARKED + values
        content = b"".join((wire.OUT_OF_BAND, wire.SIZE.pack(len(values)), values, *self._buffers))
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
    coder = _Coder(UNICODE)
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
