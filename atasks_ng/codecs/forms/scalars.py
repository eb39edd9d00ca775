"""Forms of numbers, byte arrays, identifiers and paths."""

from __future__ import annotations

import pathlib
import struct
import uuid
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from ...words.errors import DecodeError
from . import wire
from .wire import Form, ext

# Reducing a fraction costs the square of its length: 0.04 ms at 512 bytes, 5 ms at 8 KiB.
_MAX_REDUCED_BITS = 4096

# From Python 3.12 on, the hashes of fractions are kept in one table of the process, of 16,384. The
# sender chooses the hashes of its keys; if all collide, each new one costs a comparison with all.
_MAX_PAIRS = 16_384
_MAX_COLLIDING = 50
_pairs: dict[int, list[tuple[int, int]]] = {}

_complex = struct.Struct(">dd")


def _int_form(value: int) -> Form:
    return ext(wire.BIG_INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _int(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def _complex_form(value: complex) -> Form:
    return ext(wire.COMPLEX, _complex.pack(value.real, value.imag))


def _fraction_form(value: Fraction) -> Form:
    return [_FRACTION, value.numerator, value.denominator]


def _fraction(parts: list[Any]) -> Fraction:
    numerator, denominator = parts
    if type(numerator) is not int or type(denominator) is not int or denominator <= 0:
        raise DecodeError("a fraction needs two whole numbers, the second above zero")
    _refuse_collisions(numerator, denominator)
    if numerator.bit_length() + denominator.bit_length() <= _MAX_REDUCED_BITS:
        return Fraction(numerator, denominator)
    # Encoded fractions are in lowest terms already: trusted when checking would be expensive.
    fraction: Any = object.__new__(Fraction)
    fraction._numerator = numerator
    fraction._denominator = denominator
    return fraction  # type: ignore[no-any-return]  # built through its slots


def _refuse_collisions(numerator: int, denominator: int) -> None:
    """Refuse one of many different fractions that were chosen to share a hash."""
    pair = (numerator, denominator)
    if len(_pairs) >= _MAX_PAIRS:
        _pairs.clear()
    alike = _pairs.setdefault(hash(pair), [pair])
    if pair in alike:
        return
    if len(alike) >= _MAX_COLLIDING:
        raise DecodeError(f"more than {_MAX_COLLIDING} fractions have the same hash")
    alike.append(pair)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _path_form(code: int) -> Callable[[pathlib.PurePath], Form]:
    return lambda path: ext(code, str(path).encode("utf-8", "surrogatepass"))


_FRACTION = ext(wire.FRACTION)
_ELLIPSIS = ext(wire.ELLIPSIS)

FORMS: dict[type, Callable[[Any], Form]] = {
    int: _int_form,  # asked only for what msgpack cannot hold
    complex: _complex_form,
    bytearray: lambda value: ext(wire.BYTEARRAY, bytes(value)),
    Decimal: lambda value: ext(wire.DECIMAL, str(value).encode("ascii")),
    Fraction: _fraction_form,
    uuid.UUID: lambda value: ext(wire.UUID, value.bytes),
    type(pathlib.Path()): _path_form(wire.PATH),
    pathlib.PurePosixPath: _path_form(wire.PURE_POSIX_PATH),
    pathlib.PureWindowsPath: _path_form(wire.PURE_WINDOWS_PATH),
    type(...): lambda value: _ELLIPSIS,
}

LEAVES: dict[int, Callable[[bytes], Any]] = {
    wire.BIG_INT: _int,
    wire.COMPLEX: lambda data: complex(*_complex.unpack(data)),
    wire.BYTEARRAY: bytearray,
    wire.DECIMAL: lambda data: Decimal(data.decode("ascii")),
    wire.UUID: lambda data: uuid.UUID(bytes=data),
    wire.PATH: lambda data: pathlib.Path(_text(data)),
    wire.PURE_POSIX_PATH: lambda data: pathlib.PurePosixPath(_text(data)),
    wire.PURE_WINDOWS_PATH: lambda data: pathlib.PureWindowsPath(_text(data)),
    wire.ELLIPSIS: lambda data: ...,
}

COMPOSITES: dict[int, Callable[[list[Any]], Any]] = {wire.FRACTION: _fraction}
