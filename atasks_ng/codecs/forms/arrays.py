"""
Forms of numpy arrays and scalars, without importing numpy.

The bytes of an array are copied once into the message and once out of it. An array that used those
in the message would keep all of it, and be read-only.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from typing import Any

from ...words.errors import DecodeError, EncodeError
from . import wire
from .wire import Form, OutOfBand, ext

# Kinds of numpy dtypes whose bytes mean the same elsewhere: no objects, no pointers.
_KINDS = frozenset("biufcmMSUV")

# As numpy writes them: order, kind, length, and the unit of dates.
_DTYPE = re.compile(r"[<>|=][biufcmMSUV][0-9]{0,10}(\[[0-9]{0,10}[a-zA-Zμ]{1,2}\])?\Z")

# numpy's own limits. Without the second one, multiplying numbers of megabytes could take minutes.
_MAX_DIMENSIONS = 64
_MAX_LENGTH = 2**63

_ARRAY = ext(wire.ARRAY)
_SCALAR = ext(wire.SCALAR)


def form_of(value: Any) -> Form | None:
    """Return the form of a numpy array or scalar, ``None`` for any other value."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    cls = type(value)
    if cls is numpy.ndarray:
        return _array_form(numpy, value)
    # Only what numpy itself defines: other packages may subclass its scalars.
    if isinstance(value, numpy.generic) and cls is value.dtype.type:
        # An empty string has no bytes, but tobytes() gives those of one character.
        content = value.tobytes()[: value.dtype.itemsize]
        return [_SCALAR, _describe(numpy, value.dtype), content]
    return None


def _array_form(numpy: Any, value: Any) -> Form:
    if not value.dtype.itemsize:
        raise EncodeError("a numpy array whose items have no bytes cannot be encoded")
    order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    return [
        _ARRAY,
        _describe(numpy, value.dtype),
        list(value.shape),
        order,
        value.flags.writeable,
        OutOfBand(_bytes_of(numpy, value, order)),
    ]


def _bytes_of(numpy: Any, value: Any, order: str) -> memoryview | bytes:
    flat = value.T if order == "F" else value
    if not flat.flags.c_contiguous or not flat.size:
        return flat.tobytes()  # type: ignore[no-any-return]  # numpy is untyped here
    # Dates have no buffer of their own; their bytes have.
    return flat.reshape(-1).view(numpy.uint8).data  # type: ignore[no-any-return]


def _describe(numpy: Any, dtype: Any) -> Any:
    if dtype.kind not in _KINDS or dtype.hasobject:
        raise EncodeError(
            f"a numpy value of dtype {dtype} cannot be encoded: convert it with .tolist() or "
            ".astype(...), or use CloudpickleCodec"
        )
    return numpy.lib.format.dtype_to_descr(dtype)


def _read_dtype(described: Any) -> tuple[Any, Any]:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        raise DecodeError("a numpy value arrived where numpy is not imported: import it here, too")
    if type(described) not in (str, list):
        raise DecodeError(f"a numpy dtype cannot be a {type(described).__name__}")
    _refuse_odd(described)
    dtype = numpy.lib.format.descr_to_dtype(described)
    if dtype.kind not in _KINDS or dtype.hasobject:
        raise DecodeError(f"numpy values of dtype {dtype} are not accepted")
    return numpy, dtype


def _refuse_odd(described: Any) -> None:
    """Refuse what :func:`_describe` does not write: numpy reads a small language in dtypes."""
    todo = [described]
    while todo:
        each = todo.pop()
        if type(each) is list:
            todo += [field[1] for field in each]
        elif type(each) is tuple:  # a dtype and its shape, as within records
            todo.append(each[0])
        elif type(each) is not str or not _DTYPE.match(each):
            raise DecodeError("a numpy dtype that numpy itself would write in another way")


def _array(parts: list[Any]) -> Any:
    described, shape, order, writable, content = parts
    numpy, dtype = _read_dtype(described)
    if not _is_shape(shape):
        raise DecodeError("the shape of an array is not a list of lengths")
    if math.prod(shape) * dtype.itemsize != len(content) or not dtype.itemsize:
        raise DecodeError("the shape of an array does not match its bytes")
    if order not in ("C", "F"):
        raise DecodeError("an array that is not laid out as one")
    buffer = bytearray(content) if writable else bytes(content)
    return numpy.ndarray(tuple(shape), dtype, buffer, order=order)


def _is_shape(shape: Any) -> bool:
    if type(shape) is not list or len(shape) > _MAX_DIMENSIONS:
        return False
    return all(type(length) is int and 0 <= length < _MAX_LENGTH for length in shape)


def _scalar(parts: list[Any]) -> Any:
    described, content = parts
    numpy, dtype = _read_dtype(described)
    if type(content) is not bytes or len(content) != dtype.itemsize:
        raise DecodeError("the dtype of a numpy scalar does not match its bytes")
    return numpy.ndarray((), dtype, content)[()] if content else dtype.type()


COMPOSITES: dict[int, Callable[[list[Any]], Any]] = {wire.ARRAY: _array, wire.SCALAR: _scalar}
