"""Values arrive as themselves: same type, same value, all the way down."""

from __future__ import annotations

import datetime
import math
import pathlib
import threading
import uuid
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from typing import Any

import hypothesis
import hypothesis.strategies as st
import msgpack
import pytest

from atasks_ng.codecs import MsgpackCodec
from atasks_ng.words.errors import EncodeError

codec = MsgpackCodec("test-values")

UTC = datetime.UTC
ROME = zoneinfo.ZoneInfo("Europe/Rome")
PLUS_2 = datetime.timezone(datetime.timedelta(hours=2))
NAMED = datetime.timezone(
    datetime.timedelta(hours=-3, seconds=1, microseconds=5), "Brasília \udc80"
)


def same(one: Any, other: Any) -> bool:
    """Compare values with their types, the order of dicts, NaN and the sign of zero."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return math.copysign(1, one) == math.copysign(1, other) and (
            one == other or (math.isnan(one) and math.isnan(other))
        )
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, (list, tuple, deque)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, (set, frozenset)):
        return one == other and sorted(map(str, map(type, one))) == sorted(
            map(str, map(type, other))
        )
    if isinstance(one, (datetime.datetime, datetime.time)):
        return (one.replace(tzinfo=None), one.fold, one.tzinfo) == (
            other.replace(tzinfo=None),
            other.fold,
            other.tzinfo,
        ) and repr(one) == repr(other)
    if isinstance(one, Decimal):
        return one.as_tuple() == other.as_tuple()
    return bool(one == other)


def there_and_back(value: Any) -> Any:
    return codec.decode(codec.encode(value))


SCALARS = [
    None,
    True,
    False,
    0,
    -1,
    127,
    128,
    196,  # 0xc4, which is also the code of bytes
    2**63,
    2**64 - 1,
    2**64,
    -(2**63),
    -(2**63) - 1,
    10**5000,
    -(10**5000),
    0.0,
    -0.0,
    1.5,
    5e-324,
    math.pi,
    math.inf,
    -math.inf,
    math.nan,
    complex(1, -2),
    complex(-0.0, math.inf),
    complex(math.nan, -0.0),
    "",
    "text",
    "ž🙂\0",
    "\ud800",
    "a\udc80b",
    "\ud83d\ude42",  # two lone surrogates, not one character
    "x" * 100_000,
    b"",
    b"\xff\x00",
    b"x" * 100_000,
    bytearray(b""),
    bytearray(b"ab"),
    Decimal("1.10"),
    Decimal("-0"),
    Decimal("1E+1000"),
    Decimal("-Infinity"),
    Decimal("sNaN123"),
    Fraction(-3, 7),
    Fraction(10**40 + 1, 3),
    Fraction(3**2000, 2**3000),
    uuid.UUID("12345678-1234-5678-1234-567812345678"),
    range(10),
    range(5, -5, -2),
    range(10**30),
    slice(None),
    slice(1, "a", None),
    ...,
    msgpack.ExtType(5, b"abc"),
    msgpack.Timestamp(1, 2),
]

TIMES = [
    datetime.date(1, 1, 1),
    datetime.date(9999, 12, 31),
    datetime.datetime(2024, 2, 29, 23, 59, 59, 999_999),
    datetime.datetime(2024, 10, 27, 2, 30, fold=1),
    datetime.datetime(2024, 10, 27, 2, 30, tzinfo=UTC),
    datetime.datetime(2024, 10, 27, 2, 30, tzinfo=PLUS_2),
    datetime.datetime(2024, 10, 27, 2, 30, tzinfo=NAMED),
    datetime.datetime(2024, 10, 27, 2, 30, tzinfo=ROME),
    datetime.datetime(2024, 10, 27, 2, 30, tzinfo=ROME, fold=1),
    datetime.datetime.min,
    datetime.datetime.max,
    datetime.time(1, 2, 3, 4),
    datetime.time(1, 2, fold=1),
    datetime.time(1, 2, tzinfo=ROME, fold=1),
    datetime.time(1, 2, tzinfo=UTC),
    datetime.timedelta(-1, 2, 3),
    datetime.timedelta.min,
    datetime.timedelta.max,
    datetime.timedelta.resolution,
    UTC,
    PLUS_2,
    NAMED,
    datetime.timezone(datetime.timedelta(0), "Zulu"),
    datetime.timezone.min,
    datetime.timezone.max,
    ROME,
]

PATHS = [
    pathlib.PurePosixPath("/a/b"),
    pathlib.PurePosixPath("rel/../x"),
    pathlib.PurePosixPath("//host/x"),
    pathlib.PureWindowsPath("C:\\x\\y"),
    pathlib.PureWindowsPath("//server/share/x"),
    pathlib.Path("/tmp") / "ž" / "\udcff",
    pathlib.Path(),
]

CONTAINERS = [
    [],
    (),
    {},
    set(),
    frozenset(),
    [[]],
    ((),),
    [()],
    (None,),
    [1, [2, (3, [4, (5,)])]],
    {1, "a", b"b", 2.5, (1, 2), None},
    frozenset({frozenset({1}), frozenset()}),
    [{1}, [{2}], ({3},)],
    {"b": 1, "a": 2},
    {b"k": 1},
    {1: "a", -1: "b", 2**70: "c"},
    {None: 1, True: 2, 1.5: 3, 0: 4},
    {(1, 2): {(3,): [4]}},
    {(): 1, ((),): 2},
    {frozenset({1}): 1, ROME: 2, uuid.UUID(int=1): 3, Decimal("1.5"): 4, 2j: 5},
    {datetime.date(2024, 1, 1): "d"},
    {"\ud800": "\ud801"},
    {str(number): number for number in range(1000)},
    [bytearray(b"a"), b"a", {"k": bytearray(b"")}, (bytearray(b"x"), {"y": [bytearray(b"z")]})],
    {"k": (bytearray(b"x"), "\ud800", {(1, 2): bytearray(b"v")})},
    [b"", bytearray()],
    list(range(300)),
    [number * 0.1 for number in range(5000)],
    OrderedDict([("b", 1), ("a", 2)]),
    OrderedDict([((1, 2), 1)]),
    Counter("abca"),
    Counter({(1,): -2}),
    deque([1, (2,)]),
    deque([1, 2], maxlen=2),
    deque(maxlen=0),
]

CALLS = [
    ((), {}),
    ((1, "abc", {"k": [1, 2, 3]}), {}),
    ((), {"x": (1, 2)}),
    (((1, 2), [3, (4,)]), {"s": {1}, "b": bytearray(b"x")}),
    ([], {}),
    ((), []),
    ((), {}, ()),
    ((), {1: 2}),
    [(), {}],
    [[], {}],
    [[1], {"a": 1}],
]


@pytest.mark.parametrize(
    "value", SCALARS + TIMES + PATHS + CONTAINERS + CALLS, ids=lambda value: type(value).__name__
)
def test_value_arrives_as_itself(value):
    assert same(there_and_back(value), value)


@pytest.mark.parametrize(
    "value", SCALARS + TIMES + PATHS + CONTAINERS, ids=lambda value: type(value).__name__
)
def test_value_arrives_as_itself_anywhere(value):
    call = ((value, [value], (value,)), {"k": value, "d": {"k": value}})

    assert same(there_and_back(call), call)


@pytest.mark.parametrize("value", SCALARS + TIMES + PATHS, ids=lambda value: type(value).__name__)
def test_value_arrives_as_itself_as_a_key(value):
    if type(value).__hash__ is None:
        pytest.skip("no value that can be hashed")
    try:
        content = {(value, 1): value, "a": 1}
    except TypeError:  # slices, before Python 3.12
        pytest.skip("no value that can be hashed")

    arrived = there_and_back(content)

    assert same(arrived, content)


@pytest.mark.parametrize("factory", [None, list, dict, set, tuple, int, float, str, bytes, bool])
def test_defaultdict_keeps_its_factory(factory):
    value = defaultdict(factory, {"a": 1, (1, 2): 3})

    arrived = there_and_back(value)

    assert same(arrived, value)
    assert arrived.default_factory is factory


def test_named_time_zone_keeps_its_name():
    arrived = there_and_back([NAMED, PLUS_2, UTC, datetime.timezone(datetime.timedelta(0), "Z")])

    assert [repr(zone) for zone in arrived] == [
        repr(NAMED),
        repr(PLUS_2),
        "datetime.timezone.utc",
        "datetime.timezone(datetime.timedelta(0), 'Z')",
    ]
    assert arrived[2] is UTC


def test_zone_arrives_as_the_same_object():
    assert there_and_back(ROME) is ROME


def test_dict_with_very_many_tuple_keys_arrives():
    value = {(x, y): x * y for x in range(80) for y in range(80)}

    assert same(there_and_back(value), value)


def test_int_keys_arrive_in_order():
    value = {number: str(number) for number in range(3000, 0, -1)}

    assert same(there_and_back(value), value)


def test_large_set_arrives():
    value = {(number, str(number)) for number in range(5000)}

    assert same(there_and_back(value), value)


@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: (value,)], ids=["", "marked"])
def test_one_bytearray_among_many_parts_arrives(wrap):
    value = wrap([{"n": number, "b": b"b", "l": [196]} for number in range(200)])
    rows = value if isinstance(value, list) else value[0]
    rows[-2]["l"][0] = bytearray(b"x")

    assert same(there_and_back(value), value)


@pytest.mark.parametrize("size", [0, 1, *range(245, 262), *range(65_525, 65_540), 70_000])
def test_buffer_of_any_size_is_told_from_bytes(size):
    # Zeros: no other byte of the message hints at bytes by chance.
    content = bytearray(size)

    assert same(there_and_back(content), content)
    assert same(there_and_back(bytes(content)), bytes(content))
    assert same(there_and_back(((content,), {})), ((content,), {}))
    with pytest.raises(EncodeError, match="memoryview"):
        codec.encode(memoryview(content))


def test_call_costs_no_more_bytes_than_plain_msgpack_plus_nothing():
    call = ((1, "abc", {"k": [1, 2, 3]}), {})

    assert codec.encode(call) == msgpack.packb(call)


def test_nesting_of_250_levels_arrives():
    value: Any = 1
    for _ in range(125):
        value = ([value],)

    assert same(there_and_back(value), value)


def test_argument_is_not_changed_by_encoding():
    value = {"a": [bytearray(b"x"), (1, "\ud800")], (1, 2): {3}}
    before = repr(value)

    codec.encode((("x",), {"value": value}))

    assert repr(value) == before


def test_codec_can_be_used_by_many_threads_at_once():
    wrong = []

    def work(number):
        value = [(number, {number}, str(number) * number), bytearray(b"x") * number]
        wrong.extend(number for _ in range(200) if not same(there_and_back(value), value))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_large_value_leaves_no_large_buffer_behind():
    mine = MsgpackCodec("test-values-large")

    mine.encode("x" * 2_000_000)
    mine.encode("x")

    assert len(mine._coders) == 1


# -- any value of these types ------------------------------------------------------------------

texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
zones = st.none() | st.just(UTC) | st.just(ROME) | st.just(NAMED)
hashables = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | texts
    | st.binary(max_size=20)
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids()
    | st.dates()
    | st.datetimes(timezones=zones)
    | st.times(timezones=zones)
    | st.timedeltas()
)
leaves = hashables | st.floats() | st.complex_numbers() | st.binary(max_size=20).map(bytearray)
keys = st.recursive(
    hashables,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.sets(keys, max_size=4)
        | st.dictionaries(keys, inner, max_size=5)
        | st.dictionaries(texts, inner, max_size=5)
    ),
    max_leaves=15,
)

quick = hypothesis.settings(max_examples=80, deadline=None, derandomize=True)


@quick
@hypothesis.given(values)
def test_any_value_arrives_as_itself(value):
    assert same(there_and_back(value), value)


@quick
@hypothesis.given(
    st.lists(values, max_size=4).map(tuple), st.dictionaries(texts, values, max_size=4)
)
def test_any_call_arrives_as_itself(args, kwargs):
    assert same(there_and_back((args, kwargs)), (args, kwargs))
