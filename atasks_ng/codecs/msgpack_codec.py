"""The default codec: values of many types as msgpack, and never any code."""

from __future__ import annotations

from typing import Any

import msgpack
from msgpack import ExtType

from ..words.errors import DecodeError, EncodeError
from .base import Codec
from .forms import arrays, containers, scalars, wire
from .forms.table import find_form, forms, leaves, marks
from .forms.wire import Form, Mark
from .paths import is_call, locate

# The first byte of a message that has composites in it; msgpack itself never uses that byte.
_COMPOSITES = 0xC1
_CALL = 0x92  # the array [args, kwargs]
_VALUE = 0x91  # the array [value]

# Below this size, arrays that claim more items than there are bytes cost nothing worth a look.
_MAX_UNCHECKED_BYTES = 1024
# A packer keeps the largest buffer it ever had.
_MAX_KEPT_BYTES = 1024 * 1024

# Exact types that msgpack carries as they are.
_NATIVE = frozenset({type(None), bool, int, float, str, bytes, ExtType, msgpack.Timestamp})


class MsgpackCodec(Codec):
    """
    Values as themselves, as data: the default codec.

    Exact in type and value: ``None``, ``bool``, ``int`` of any size, ``float``, ``complex``,
    ``str``, ``bytes``, ``bytearray``, ``list``, ``tuple``, ``set``, ``frozenset``, ``dict`` with any
    such keys, in order; ``OrderedDict``, ``Counter``, ``deque``, ``defaultdict`` of a built-in
    factory; dates, times, durations, time zones; ``Decimal``, ``Fraction``, ``UUID``, paths,
    ``range``, ``slice``, ``...``; numpy arrays and scalars; and instances of the enums, named
    tuples, dataclasses, attrs classes and pydantic models that the tasks of this process mention
    or their modules declare, or that were given to :func:`register`.

    Anything else is an :class:`EncodeError`, subclasses of these types included, so that nothing
    loses its type on the way. Two references to one object arrive as two objects. A path arrives
    as a path of the machine it arrives on. ``msgpack.ExtType`` arrives as itself, except with
    codes 64 to 95, which are ours.

    Decoding only builds values of these types. It imports nothing, calls no constructor that was
    not registered, and answers any bytes with a value or :class:`DecodeError`: nesting is
    bounded (511 arrays and maps on the wire when encoding, 1024 when decoding), so are
    declared lengths and keys that collide.
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
            content = coder.encode(obj)
        except UnicodeEncodeError:
            return self._encode_slowly(obj)
        except Exception as exc:
            raise _explained(obj, exc) from exc
        if len(content) < _MAX_KEPT_BYTES:
            self._coders.append(coder)
        # Bytes in the message may be those of a bytearray or memoryview, which msgpack takes
        # for bytes: the codes of its three kinds of bytes are a cheap hint that there are any.
        if (0xC4 in content or 0xC5 in content or 0xC6 in content) and _has_buffers(obj):
            return self._encode_slowly(obj)
        return content

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
            raise DecodeError("neither a value nor arguments")
        except DecodeError:
            raise
        except Exception as exc:
            raise DecodeError(f"these bytes are not of MsgpackCodec: {exc!r}") from exc

    def _encode_slowly(self, obj: Any) -> bytes:
        try:
            return _Coder("surrogatepass").encode(_Lowering().lower(obj))
        except Exception as exc:
            raise _explained(obj, exc) from exc
