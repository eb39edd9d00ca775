"""Messages of 100 KiB made to cost much: refused, or as cheap as honest ones of that size."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from atasks_ng.codecs.forms import wire
from atasks_ng.words.errors import DecodeError

from . import supported
from .mutations import codec

SIZE = 100 * 1024

# Dense messages of small objects cost 5 to 50 ms, what is out of proportion costs seconds.
_SECONDS = 0.5


def ext(code: int, data: bytes = b"") -> msgpack.ExtType:
    return msgpack.ExtType(code, data)


def message(value: Any) -> bytes:
    return b"\xc1\x91" + msgpack.packb(value, strict_types=True)


def many(part: Callable[[int], Any], size: int) -> bytes:
    """Return a message of so many parts of a size in bytes that it has 100 KiB."""
    return message([part(number) for number in range(SIZE // size)])


def integer(number: int) -> msgpack.ExtType:
    return ext(wire.BIG_INT, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def number_of(size: int) -> msgpack.ExtType:
    return ext(wire.BIG_INT, b"\x7f" * size)


def array(dtype: Any, shape: list[int] | None = None) -> bytes:
    return message([ext(wire.ARRAY), dtype, shape or [0], "C", True, 0])


def arrays(sizes: list[int], content: bytes) -> bytes:
    """Return a message of arrays of so many bytes, with these bytes out of band."""
    parts = [[ext(wire.ARRAY), "|u1", [size], "C", True, size] for size in sizes]
    values = b"\x91" + msgpack.packb(parts, strict_types=True)
    return b"\xc1\xc6" + len(values).to_bytes(4, "big") + values + content


def colliding(count: int) -> list[msgpack.ExtType]:
    return [integer(number * (2**61 - 1)) for number in range(5, 5 + count)]


def field(*parts: Any) -> list[Any]:
    return [ext(wire.TUPLE), *parts]


def error(**record: Any) -> list[Any]:
    made = {"class": "builtins:OSError", "summary": ["OSError", ""], **record}
    return [ext(wire.ERROR), 0, made]


def instance(name: str, *parts: Any) -> list[Any]:
    return [ext(wire.OBJECT), name, *parts]


HALF = SIZE // 2

REFUSED = {
    "dtype in the language of numpy": array("i4," * (SIZE // 3) + "i4"),
    "dtype with parentheses": array("(" * SIZE),
    "dtype with a long number": array("(" + "9" * SIZE + ",)i4"),
    "dtype of long text": array("<U" + "9" * SIZE),
    "dtype larger than memory": array([field("a", "<i4", field(2**31 - 1))]),
    "shape larger than memory": array("<i4", [2**62] * 60 + [1]),
    "arrays of the same bytes": arrays([SIZE // 2] * 2000, bytes(SIZE // 2)),
    "array of bytes that are not there": arrays([2**40], b""),
    "name of many parts": message([ext(wire.CLASS), "builtins:" + "a." * HALF]),
    "object of a name of many parts": message(instance("builtins:" + "a." * HALF, {})),
    "unknown time zones": many(lambda number: ext(wire.ZONE, b"Area/City%05d" % number), 18),
    "time zone that is a folder": many(lambda number: ext(wire.ZONE, b"Europe"), 9),
    "time zone with a long name": message(ext(wire.ZONE, b"A/" * HALF)),
    "hash of a range": message(
        [ext(wire.SET), [ext(wire.RANGE), 0, number_of(HALF), number_of(9000)]]
    ),
    "range that is no number": message([ext(wire.RANGE), 0, 1.5, 1]),
    "sets of colliding keys": message([[ext(wire.SET), *colliding(500)] for _ in range(15)]),
    "fractions that collide": message(
        [ext(wire.SET), *([ext(wire.FRACTION), 1, key] for key in colliding(5000))]
    ),
    "fractions that collide, each alone": message(
        [[ext(wire.SET), [ext(wire.FRACTION), 1, key]] for key in colliding(4000)]
    ),
    "long flag": message(instance("tests.codecs.samples:Bits", number_of(SIZE))),
    "flags that the class would keep": many(
        lambda number: instance("tests.codecs.samples:Bits", integer(2**80 + number)), 50
    ),
    "marks without arrays": b"\xc1\x91\xdd\x00\x00\x80\x00" + b"\xc7\x00\x40" * 0x8000,
}

BOUNDED = {
    "digits": message(ext(wire.DECIMAL, b"9" * SIZE)),
    "exponents": many(lambda number: ext(wire.DECIMAL, b"1e999999999999999999"), 23),
    "exponents as keys": message(
        [ext(wire.SET), *(ext(wire.DECIMAL, b"1e%d" % (10**17 + n)) for n in range(4000))]
    ),
    "fraction": message([ext(wire.FRACTION), number_of(HALF), number_of(HALF - 1)]),
    "fractions": many(lambda number: [ext(wire.FRACTION), number_of(256), number_of(255)], 520),
    "ranges": message(
        [ext(wire.SET), *([ext(wire.RANGE), 0, number_of(40), 1 + n] for n in range(2000))]
    ),
    "flags": many(lambda number: instance("tests.codecs.samples:Bits", number), 36),
    "arrays": arrays([1] * (SIZE // 20), bytes(SIZE // 20)),
    "fields of a dtype": array([field(f"f{number}", "<i4") for number in range(SIZE // 20)]),
    "small sets that collide": many(lambda number: [ext(wire.SET), *colliding(90)], 1100),
    "time zones": many(lambda number: ext(wire.TIMEZONE, b"\0" * 8), 11),
    "long path": message([ext(wire.SET), ext(wire.PURE_WINDOWS_PATH, b"a/" * HALF)]),
    "errors of unknown classes": many(lambda number: error(**{"class": f"a:b{number}"}), 50),
    "errors of names of many parts": message(error(**{"class": "builtins:" + "a." * HALF})),
    "errors of functions": many(
        lambda number: error(**{"class": f"tests.codecs.samples:_noted.<locals>.E{number}"}), 80
    ),
    "errors": many(lambda number: error(), 40),
    "nested lists": b"\xc1\x91\xdc\x00\xc8" + (b"\x91" * 500 + b"\x01") * 200,
    "empty tuples": many(lambda number: [ext(wire.TUPLE)], 4),
}


def seconds_of(content: bytes) -> tuple[float, Any]:
    started = time.thread_time()
    value = supported.decode(content)
    return time.thread_time() - started, value


@pytest.mark.parametrize("name", REFUSED)
def test_bomb_is_refused_in_little_time(name):
    started = time.thread_time()

    with pytest.raises(DecodeError) as caught:
        codec.decode(REFUSED[name])

    assert time.thread_time() - started < _SECONDS
    # Errors travel: what they quote of the message is short.
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", BOUNDED)
def test_bomb_costs_little(name):
    seconds, _ = seconds_of(BOUNDED[name])

    assert seconds < _SECONDS
