"""A codec for messages that programs in other languages can read."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from ..words.errors import DecodeError, EncodeError
from .advice import advice_for
from .base import Codec
from .paths import locate, shown, type_name

_SCALARS = frozenset({type(None), bool, int, str})
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class JsonCodec(Codec):
    """
    Values as JSON (RFC 8259), in UTF-8.

    It carries what JSON carries unchanged: ``None``, ``bool``, ``int``, finite ``float``, ``str``,
    ``list``, and ``dict`` with ``str`` keys. **Tuples arrive as lists**, those of ``(args,
    kwargs)`` included. Everything else is an :class:`EncodeError`: ``nan`` and infinities, which
    JSON does not have; dicts with other keys, which would arrive with different ones; subclasses,
    named tuples and enums, which would lose their type.

    Decoding executes nothing.
    """

    def encode(self, obj: Any) -> bytes:
        """
        Return the JSON text of a value.

        Raises:
            EncodeError: JSON does not carry some part of it; the sentence tells where it sits.
        """
        try:
            _check(obj)
            return _encode(obj).encode("ascii")
        except Exception as exc:
            path, part = locate(obj, _is_encodable, has_parts=lambda part: False)
            raise EncodeError(f"{path}: {_reason(part, exc)}") from exc

    def decode(self, content: bytes) -> Any:
        """
        Return the value of a JSON text.

        Raises:
            DecodeError: It is no JSON in UTF-8.
        """
        try:
            return json.loads(bytes(content).decode("utf-8"), parse_constant=_refuse_constant)
        except Exception as exc:
            raise DecodeError(f"these bytes are not JSON: {shown(exc)}") from exc


def _check(value: Any) -> None:
    """Raise for what JSON would change, or cannot hold."""
    cls = type(value)
    if cls in _SCALARS:
        return
    if cls is list or cls is tuple:
        for part in value:
            _check(part)
    elif cls is dict:
        if any(type(key) is not str for key in value):
            raise EncodeError("a dict with keys that are no strings cannot be encoded as JSON")
        for part in value.values():
            _check(part)
    elif cls is not float:
        raise EncodeError(
            f"a value of type {type_name(cls)} cannot be encoded as JSON: "
            + (advice_for(cls) or "convert it, or use MsgpackCodec")
        )
    elif not math.isfinite(value):
        raise EncodeError(f"JSON has no {value!r}: pass None or a string, or use MsgpackCodec")


def _is_encodable(part: Any) -> bool:
    try:
        _check(part)
        _encode(part)
    except Exception:
        return False
    return True


def _reason(part: Any, exc: Exception) -> str:
    try:
        _check(part)
        _encode(part)
    except EncodeError as why:
        return str(why)
    except RecursionError:
        return "a value that contains itself, or is nested too deep, cannot be encoded as JSON"
    except Exception as why:
        return f"a value that cannot be encoded as JSON ({shown(why)})"
    return f"a value that cannot be encoded as JSON ({shown(exc)})"


def _refuse_constant(name: str) -> NoReturn:
    raise DecodeError(f"{name} is not JSON")
