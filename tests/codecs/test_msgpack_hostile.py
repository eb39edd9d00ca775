"""Any bytes give a value or a DecodeError, at a cost that is in proportion to their number."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import random
import time
import tracemalloc
import uuid
import zoneinfo
from decimal import Decimal
from fractions import Fraction

import hypothesis
import hypothesis.strategies as st
import msgpack
import pytest

from atasks_ng.codecs import MsgpackCodec, register
from atasks_ng.codecs.forms import wire
from atasks_ng.codecs.forms.table import leaves, marks
from atasks_ng.words.errors import DecodeError

codec = MsgpackCodec("test-hostile")


@register(name="test:H")
@dataclasses.dataclass
class Held:
    x: object = None


@register(name="test:E")
class Kind(enum.IntFlag):
    A = 1


SAMPLES = [
    codec.encode(value)
    for value in [
        ((1, "abc", {"k": [1, 2, 3]}), {}),
        ((b"bytes", bytearray(b"x"), 2**70, 1.5, 2j), {"a": None}),
        [(1, 2), {3}, frozenset({4}), {(1, 2): 3}, {5: 6}, range(3), slice(1), ...],
        [Decimal("1.5"), Fraction(1, 3), uuid.UUID(int=5)],
        [
            datetime.date(2024, 1, 1),
            datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
            datetime.datetime(2024, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Rome")),
            datetime.time(1, 2),
            datetime.timedelta(1),
            datetime.timezone(datetime.timedelta(1 / 24), "N"),
        ],
        [Held([Held((1,))]), Kind.A, Kind(7)],
        ["\ud800", "x" * 300, list(range(300))],
    ]
]


def ends(content: bytes) -> bool:
    """Decode, and tell whether there was a value; only DecodeError may come instead."""
    try:
        codec.decode(content)
    except DecodeError:
        return False
    return True


def call(body: bytes, marked: bool = True) -> bytes:
    return (b"\xc1" if marked else b"") + b"\x91" + body


def ext(code: int, data: bytes = b"") -> bytes:
    return msgpack.packb(msgpack.ExtType(code, data))


def test_empty_message_is_refused():
    assert not ends(b"")
    assert not ends(b"\xc1")


@pytest.mark.parametrize("content", SAMPLES, ids=range(len(SAMPLES)))
def test_message_that_is_cut_short_is_refused(content):
    assert not any(ends(content[:length]) for length in range(len(content)))


@pytest.mark.parametrize("content", SAMPLES, ids=range(len(SAMPLES)))
def test_message_with_something_behind_it_is_refused(content):
    for rest in [b"\x00", content]:
        with pytest.raises(DecodeError, match="has something behind it"):
            codec.decode(content + rest)


@pytest.mark.parametrize("content", SAMPLES, ids=range(len(SAMPLES)))
def test_message_with_changed_bytes_ends(content):
    dice = random.Random(content)

    for _ in range(700):
        changed = bytearray(content)
        for _ in range(dice.choice([1, 1, 1, 2, 5])):
            changed[dice.randrange(len(changed))] = dice.randrange(256)
        ends(bytes(changed))


@hypothesis.settings(max_examples=200, deadline=None, derandomize=True)
@hypothesis.given(st.sampled_from([b"", b"\xc1\x91", b"\x91", b"\x92", b"\xc1\x92"]), st.binary())
def test_any_bytes_end(start, rest):
    ends(start + rest)


def test_value_of_plain_msgpack_that_is_no_message_is_refused():
    for value in [1, "x", {}, [], [1, 2, 3], [[1], 2], [1, {}], [{}, {}]]:
        assert not ends(msgpack.packb(value))


@pytest.mark.parametrize("code", [*leaves, *marks, 0x4F, 0x5E, 0x5F, -1, -5], ids=hex)
@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 8, b"x" * 13, b"9" * 40])
def test_any_extension_ends(code, data):
    leaf = b"\xc7" + bytes((len(data), code % 256)) + data

    for body in (
        leaf,
        b"\x91" + leaf,
        b"\x93" + leaf + b"\x01\x02",
        b"\x94" + leaf + b"\xc0\x90\x80",
    ):
        ends(call(body))
        ends(call(body, marked=False))


@pytest.mark.parametrize(
    "body",
    [
        ext(wire.TUPLE),  # no array around it
        b"\x92\x01" + ext(wire.TUPLE),  # not the first
        b"\x92" + ext(wire.TUPLE) * 2,
        b"\x81\xa1k" + ext(wire.SET),  # a value of a dict
        b"\x81" + ext(wire.SET) + b"\x01",  # a key of a dict
        b"\x92" + ext(wire.TUPLE, b"x") + b"\x01",  # with data
    ],
    ids=["alone", "second", "twice", "value", "key", "data"],
)
def test_mark_out_of_place_is_refused(body):
    assert not ends(call(body))


@pytest.mark.parametrize("body", [b"\x91" + ext(wire.TUPLE), b"\x92" + ext(wire.TUPLE) + b"\x01"])
def test_mark_in_place_of_the_layout_is_refused(body):
    assert not ends(b"\xc1" + body)


def test_mark_in_a_message_that_promised_none_is_refused():
    body = b"\x92" + ext(wire.TUPLE) + b"\x01"

    assert codec.decode(call(body)) == (1,)
    assert not ends(call(body, marked=False))


@pytest.mark.parametrize(
    "parts",
    [
        ["test:nowhere", {}],
        ["os:system", "echo"],
        ["builtins:eval", "1"],
        ["test:H"],
        ["test:H", 5],
        ["test:H", {"x": 1}, {5: 6}],
        ["test:H", {"x": 1}, {"y": 1}, {"z": 1}, 7],
        ["test:E", "B"],
        ["test:E", 1.5],
        ["test:E", "__class__"],
        [5, 6],
        [[], []],
        [None],
        [],
    ],
    ids=str,
)
def test_object_that_is_not_known_or_does_not_fit_is_refused(parts):
    body = msgpack.packb([msgpack.ExtType(wire.OBJECT, b""), *parts])

    assert not ends(call(body))


def test_name_from_the_wire_is_never_imported():
    import sys

    assert "this" not in sys.modules
    body = msgpack.packb([msgpack.ExtType(wire.OBJECT, b""), "this:s", {}])

    assert not ends(call(body))
    assert "this" not in sys.modules


@pytest.mark.parametrize(
    "key", [b"../../etc/passwd", b"/etc/passwd", b"", b"Nowhere/Land", b"..", b"a" * 300, b"\xff"]
)
def test_time_zone_that_is_no_zone_is_refused(key):
    assert not ends(call(ext(wire.ZONE, key)))


# -- bombs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "level",
    [
        b"\x91",
        b"\x81\xa1k",
        b"\x92" + ext(wire.TUPLE),
        b"\x92" + ext(wire.FROZENSET),
        b"\xdc\x00\x01",
    ],
    ids=["list", "dict", "tuple", "set", "array16"],
)
@pytest.mark.parametrize("depth", [600, 2000, 50_000])
def test_deep_nesting_ends(level, depth):
    content = call(level * depth + b"\x01")

    is_value = ends(content)

    assert not is_value or depth < 1024


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize(
    "header",
    [b"\xdd\x00\x01\x86\xa0", b"\xdc\xff\xff", b"\xdf\x00\x00\xc3\x50\xa1k", b"\x91\xdc\xff\xff"],
)
def test_false_lengths_cost_no_memory(header, marked):
    claims = header * (1000 // header.count(b"\xdc") if header.count(b"\xdc") else 1000)
    content = call(claims + b"\x01" * (100 * 1024), marked)
    tracemalloc.start()

    is_value = ends(content)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not is_value
    assert peak < 4 * len(content)


@pytest.mark.parametrize(
    "header",
    [
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
    ],
)
def test_one_false_length_is_refused(header):
    assert not ends(call(header + b"\x01" * 10))
    assert not ends(call(header + b"\x01" * 10_000))


def colliding_ints(count: int) -> list[int]:
    return [number * (2**61 - 1) for number in range(1, count + 1)]


@pytest.mark.parametrize("wrap", [lambda key: key, lambda key: (key,)], ids=["ints", "tuples"])
@pytest.mark.parametrize(
    "container",
    [
        lambda keys: (
            b"\xdf"
            + len(keys).to_bytes(4, "big")
            + b"".join(keys[i] + b"\x01" for i in range(len(keys)))
        ),
        lambda keys: b"\xdd" + (len(keys) + 1).to_bytes(4, "big") + ext(wire.SET) + b"".join(keys),
        lambda keys: (
            b"\xdd" + (len(keys) + 1).to_bytes(4, "big") + ext(wire.FROZENSET) + b"".join(keys)
        ),
    ],
    ids=["dict", "set", "frozenset"],
)
def test_keys_that_collide_are_refused(container, wrap):
    keys = []
    for number in colliding_ints(8000):
        content = codec.encode(wrap(number))
        keys.append(content[2:] if content[0] == 0xC1 else content[1:])
    started = time.process_time()

    is_value = ends(call(container(keys)))

    assert not is_value
    # Building the table took more than a second of comparisons.
    assert time.process_time() - started < 0.5


def test_few_keys_that_collide_arrive():
    value = {(number,): 1 for number in colliding_ints(100)}

    assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize(
    "body",
    [
        ext(wire.BIG_INT, b"\x7f" * 100_000),
        ext(wire.DECIMAL, b"1e" + b"9" * 30),
        ext(wire.DECIMAL, b"9" * 100_000),
        b"\x93"
        + ext(wire.FRACTION)
        + ext(wire.BIG_INT, b"\x7f" * 50_000)
        + ext(wire.BIG_INT, b"\x6f" * 50_000),
        b"\x94" + ext(wire.RANGE) + b"\x00" + ext(wire.BIG_INT, b"\x7f" * 50_000) + b"\x01",
        b"\x93" + ext(wire.FRACTION) + b"\x01\x00",
        b"\x94" + ext(wire.RANGE) + b"\x00\x01\x00",
        b"\x92" + ext(wire.DEQUE) + b"\xff",
    ],
    ids=["int", "exponent", "digits", "fraction", "range", "zero", "no step", "negative"],
)
def test_large_number_costs_little(body):
    started = time.process_time()

    ends(call(body))

    assert time.process_time() - started < 0.1


def test_array_of_large_lengths_costs_little():
    pytest.importorskip("numpy")
    lengths = b"\xdc\x00\x20" + 32 * ext(wire.BIG_INT, b"\x7f" * 30_000)
    body = b"\x96" + ext(wire.ARRAY) + b"\xa3<f8" + lengths + b"\xa1C" + b"\xc3" + b"\x00"
    started = time.process_time()

    with pytest.raises(DecodeError, match="shape"):
        codec.decode(call(body))

    assert time.process_time() - started < 0.1
