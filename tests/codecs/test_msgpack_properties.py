"""Any value of the types of the manual's table, nested in any way, arrives as itself."""

from __future__ import annotations

import collections
import datetime
import decimal
import pathlib
from decimal import Decimal
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest

from atasks_ng.codecs import MsgpackCodec

from .samples import (
    NAMED,
    ROME,
    SAMPLES,
    UTC,
    AppError,
    Bits,
    Box,
    Colour,
    Defined,
    Fixed,
    Frozen,
    Level,
    Model,
    Name,
    Pair,
    Plain,
    same,
)

hnp: Any = pytest.importorskip("hypothesis.extra.numpy")

codec = MsgpackCodec("test-properties")

# Hypothesis writes down strategies for its messages, and that of all values is long.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

quick = hypothesis.settings(max_examples=50, deadline=None, derandomize=True)

texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
fixed_zones = st.integers(-86_399_999_999, 86_399_999_999).map(
    lambda number: datetime.timezone(datetime.timedelta(microseconds=number))
)
zones = st.none() | st.sampled_from([UTC, ROME, NAMED]) | st.timezones() | fixed_zones
moments = st.datetimes(timezones=zones, allow_imaginary=True)
paths = st.lists(st.text(st.characters(exclude_characters="\0"), max_size=8), max_size=4)
decimals = st.builds(
    lambda sign, digits, exponent: Decimal((sign, tuple(digits), exponent)),
    st.integers(0, 1),
    st.lists(st.integers(0, 9), max_size=60),
    st.integers(-3000, 3000) | st.sampled_from(["F", "n", "N"]),
)
members = st.sampled_from([*Colour, *Level, *Name, *Bits, Bits(5), Bits(0), Bits(64)])
hashables = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**200), 2**200),
    st.floats(allow_nan=False),
    texts,
    st.binary(max_size=20),
    decimals.filter(lambda value: not value.is_snan()),
    st.fractions(),
    st.uuids(),
    st.dates(),
    moments,
    st.builds(lambda moment, fold: moment.replace(fold=fold), moments, st.integers(0, 1)),
    st.times(timezones=zones),
    st.timedeltas(),
    fixed_zones,
    st.timezones(),
    members,
    paths.map(lambda parts: pathlib.PurePosixPath(*parts)),
    paths.map(lambda parts: pathlib.PureWindowsPath(*parts)),
    paths.map(lambda parts: pathlib.Path(*parts)),
    st.builds(range, st.integers(), st.integers(), st.integers(1, 10**20)),
    st.just(...),
    st.sampled_from(SAMPLES["type"]),
    hnp.scalar_dtypes().flatmap(lambda dtype: hnp.from_dtype(dtype, allow_nan=False)),
)
arrays = hnp.arrays(
    hnp.scalar_dtypes() | hnp.array_dtypes(), hnp.array_shapes(min_dims=0, max_dims=3, max_side=3)
).filter(lambda array: array.dtype.itemsize)
keys = st.recursive(
    hashables,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.frozensets(inner, max_size=3),
        st.builds(Frozen, inner, inner),
        st.builds(Pair, inner, inner),
        st.builds(Fixed, inner),
    ),
    max_leaves=4,
)
# By number: hypothesis prints strategies, and some of these are large.
everything = [sample for row in SAMPLES.values() for sample in row]
samples = st.integers(0, len(everything) - 1).map(lambda number: everything[number])
leaves = st.one_of(
    hashables,
    st.floats(),
    decimals,
    st.complex_numbers(),
    st.binary(max_size=20).map(bytearray),
    arrays,
    samples,
)


def error_of(args: list[Any], detail: Any, cause: BaseException | None) -> BaseException:
    exc = AppError(1, detail=detail)
    exc.args = tuple(args)
    exc.__cause__ = cause
    return exc


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(inner, max_size=4)
    errors = st.builds(error_of, lists, inner, st.none() | st.builds(ValueError, inner))
    return st.one_of(
        lists,
        lists.map(tuple),
        st.builds(collections.deque, lists, st.none() | st.integers(0, 9)),
        st.sets(keys, max_size=4),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(texts, inner, max_size=4),
        st.dictionaries(keys, inner, max_size=3).map(collections.OrderedDict),
        st.builds(collections.defaultdict, st.just(list), st.dictionaries(keys, inner, max_size=3)),
        st.dictionaries(keys, st.integers(), max_size=3).map(collections.Counter),
        st.builds(slice, inner, inner, inner),
        st.builds(Pair, inner, inner),
        st.builds(Plain, inner, lists, st.integers()),
        st.builds(Frozen, inner, inner),
        st.builds(Box[int], inner),
        st.builds(Defined, inner, inner),
        st.builds(lambda x, more: Model(x=x, more=more), inner, inner),
        errors,
        st.lists(errors, min_size=1, max_size=3).map(lambda found: ExceptionGroup("g", found)),
    )


values = st.recursive(leaves, containers, max_leaves=12)


def there_and_back(value: Any) -> Any:
    return codec.decode(codec.encode(value))


@quick
@hypothesis.given(values)
def test_any_value_arrives_as_itself(value):
    assert same(there_and_back(value), value)


@quick
@hypothesis.given(
    st.lists(values, max_size=3).map(tuple), st.dictionaries(texts, values, max_size=3)
)
def test_any_call_arrives_as_itself(args, kwargs):
    assert same(there_and_back((args, kwargs)), (args, kwargs))


@quick
@hypothesis.given(st.dictionaries(keys, keys, max_size=6))
def test_any_key_arrives_as_itself_and_in_order(content):
    assert same(there_and_back(content), content)


@quick
@hypothesis.given(arrays)
def test_any_array_arrives_as_itself(array):
    assert same(there_and_back(array), array)


@pytest.mark.parametrize("precision", [1, 50])
def test_decimal_does_not_depend_on_the_context(precision):
    value = Decimal("-1.234567890123456789E-30")
    with decimal.localcontext(prec=precision, Emin=-1, Emax=1) as context:
        for signal in context.traps:
            context.traps[signal] = True

        assert same(there_and_back([value, Decimal("sNaN5")]), [value, Decimal("sNaN5")])
