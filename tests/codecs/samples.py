"""Values of every type that the default codec carries, by the name of their row in the manual."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import datetime
import enum
import math
import pathlib
import uuid
import zoneinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any, Generic, NamedTuple, TypeVar

import pytest

from atasks_ng.codecs import register
from atasks_ng.protocol.failures import attributes_of

attrs: Any = pytest.importorskip("attrs")
numpy: Any = pytest.importorskip("numpy")
pydantic: Any = pytest.importorskip("pydantic")

T = TypeVar("T")

UTC = datetime.UTC
ROME = zoneinfo.ZoneInfo("Europe/Rome")
NAMED = datetime.timezone(datetime.timedelta(hours=-3, seconds=1, microseconds=5), "Brasília")


@register
class Colour(enum.Enum):
    RED = "red"
    BLUE = (1, 2)


@register
class Level(enum.IntEnum):
    LOW = 1


@register
class Name(enum.StrEnum):
    ONE = "one"


@register
class Bits(enum.IntFlag):
    A = 1
    B = 4


class Pair(NamedTuple):
    left: Any
    right: Any = None


register(Pair)


@register
@dataclasses.dataclass
class Plain:
    x: Any
    y: list[Any] = dataclasses.field(default_factory=list)
    start: dataclasses.InitVar[int] = 0
    total: int = dataclasses.field(init=False)

    def __post_init__(self, start: int) -> None:
        self.total = start + 1


@register
@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    x: Any
    y: Any = None


@register
@dataclasses.dataclass
class Box(Generic[T]):
    content: T


@register
@attrs.define
class Defined:
    x: Any
    y: Any = None


@register
@attrs.frozen
class Fixed:
    x: Any


@register
class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True)

    x: Any = None
    inner: Model | None = None


class AppError(Exception):
    def __init__(self, code: Any, *, detail: Any = None) -> None:
        super().__init__(f"code {code}")
        self.code = code
        self.detail = detail


def _noted() -> Exception:
    exc = AppError(5, detail=(1, {"k"}))
    exc.add_note("note")
    exc.__cause__ = exc.__context__ = KeyError("cause")
    return exc


SAMPLES: dict[str, list[Any]] = {
    "NoneType": [None],
    "bool": [True, False],
    "int": [0, -1, 127, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**4000, -(10**4000)],
    "float": [0.0, -0.0, 1.5, 5e-324, math.pi, math.inf, -math.inf, math.nan],
    "complex": [1j, complex(-0.0, math.inf), complex(math.nan, -0.0)],
    "str": ["", "text", "ž🙂\0", "\ud800", "a\udc80b", "x" * 70_000],
    "bytes": [b"", b"\xff\x00", b"x" * 70_000],
    "bytearray": [bytearray(), bytearray(b"ab")],
    "list": [[], [[]], [1, "a", [None]], list(range(300))],
    "tuple": [(), ((),), (1, ("a", (None,)))],
    "set": [set(), {1, "a", b"b", 2.5, None}],
    "frozenset": [frozenset(), frozenset({frozenset({1}), frozenset()})],
    "dict": [{}, {"b": 1, "a": 2}, {1: 2, None: 3, 1.5: 4, b"k": 5}, {True: {2.5: 1}}],
    "collections.OrderedDict": [collections.OrderedDict([("b", 1), ("a", 2)])],
    "collections.Counter": [collections.Counter("abca")],
    "collections.deque": [collections.deque([1, 2]), collections.deque([1], maxlen=1)],
    "collections.defaultdict": [
        collections.defaultdict(list, {"a": [1]}),
        collections.defaultdict(None, {1: 2}),
    ],
    "datetime.date": [datetime.date.min, datetime.date(2024, 2, 29), datetime.date.max],
    "datetime.datetime": [
        datetime.datetime.min,
        datetime.datetime(2024, 10, 27, 2, 30, 1, 999_999, fold=1),
        datetime.datetime(2024, 10, 27, 2, 30, tzinfo=UTC),
        datetime.datetime(2024, 10, 27, 2, 30, tzinfo=NAMED),
        datetime.datetime(2024, 10, 27, 2, 30, tzinfo=ROME),
        datetime.datetime(2024, 10, 27, 2, 30, tzinfo=ROME, fold=1),
    ],
    "datetime.time": [
        datetime.time(1, 2, 3, 4, fold=1),
        datetime.time(1, tzinfo=UTC),
        datetime.time(1, tzinfo=ROME, fold=1),
    ],
    "datetime.timedelta": [
        datetime.timedelta.min,
        datetime.timedelta(-1, 2, 3),
        datetime.timedelta.max,
    ],
    "datetime.timezone": [UTC, NAMED, datetime.timezone.min],
    "zoneinfo.ZoneInfo": [ROME, zoneinfo.ZoneInfo("UTC")],
    "decimal.Decimal": [
        *map(Decimal, ["1.10", "-0", "1E+1000", "0E-400", "-Infinity", "NaN7", "-sNaN123"]),
        Decimal("9" * 400),
    ],
    "fractions.Fraction": [Fraction(-3, 7), Fraction(3**2000, 2**3000)],
    "uuid.UUID": [uuid.UUID("12345678-1234-5678-1234-567812345678"), uuid.UUID(int=0)],
    "pathlib.Path": [pathlib.Path(), pathlib.Path("/tmp") / "ž" / "\udcff"],
    "pathlib.PurePath": [
        pathlib.PurePosixPath("//host/../x"),
        pathlib.PureWindowsPath("C:\\x\\y"),
        pathlib.PureWindowsPath("//server/share/x"),
    ],
    "range": [range(10), range(5, -5, -2), range(10**30)],
    "slice": [slice(None), slice(1, "a", None)],
    "ellipsis": [...],
    "enum.Enum": [Colour.RED, Colour.BLUE, Level.LOW, Name.ONE, Bits.A, Bits.A | Bits.B, Bits(0)],
    "NamedTuple": [Pair(1, [2]), Pair({"k"})],
    "dataclass": [
        Plain(1, [(2,)], 5),
        Frozen(Frozen(None), {1}),
        Box[int](5),
        Box({Frozen(1): Box("x")}),
    ],
    "attrs": [Defined(1, (2,)), Fixed(Fixed({3}))],
    "pydantic": [Model(x=(1,), inner=Model(x={2}), more=3)],
    "numpy.ndarray": [
        numpy.arange(12.0).reshape(3, 4),
        numpy.arange(12, dtype=">i2").reshape(3, 4).T,
        numpy.array([], dtype="U3"),
        numpy.array(["2024-01-01", "NaT"], dtype="M8[D]"),
        numpy.zeros(3, dtype=[("a", "u1"), ("b", "f4", (2,))]),
        numpy.array(True),
    ],
    "numpy.generic": [numpy.float32(1.5), numpy.int64(-1), numpy.str_("x"), numpy.bool_(True)],
    "BaseException": [
        ValueError("x", 1),
        FileNotFoundError(2, "No such file", "a/b"),
        asyncio.CancelledError(),
        ExceptionGroup("group", [ValueError(1), ExceptionGroup("inner", [_noted()])]),
        _noted(),
    ],
    "type": [int, Colour, Plain, ValueError, AppError],
}


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal in type and value, all the way down."""
    return _shape(one) == _shape(other)


def _shape(value: Any) -> Any:
    """Return what is equal for the same values only: types, order, NaN, the sign of zero."""
    cls = type(value)
    return cls, _content(value)


def _content(value: Any) -> Any:
    if isinstance(value, type):
        return id(value)
    if isinstance(value, enum.Enum):
        return id(value) if value.name in type(value).__members__ else value.value
    if isinstance(value, numpy.ndarray):
        flags = value.flags.writeable, value.flags.f_contiguous, value.flags.c_contiguous
        return value.dtype.descr, value.shape, flags, value.tobytes()
    if isinstance(value, numpy.generic):
        return value.dtype.descr, value.tobytes()
    if isinstance(value, (list, tuple, collections.deque)):
        limit = getattr(value, "maxlen", None)
        return limit, [_shape(each) for each in value]
    if isinstance(value, dict):
        factory = getattr(value, "default_factory", None)
        return factory, [(_shape(key), _shape(part)) for key, part in value.items()]
    if isinstance(value, (set, frozenset)):
        return sorted(repr(_shape(each)) for each in value)
    if isinstance(value, (datetime.datetime, datetime.time)):
        return repr(value), value.fold
    if isinstance(value, BaseException):
        return _content_of_error(value)
    state = _attributes(value)
    return repr(value) if state is None else {name: _shape(part) for name, part in state.items()}


def _attributes(value: Any) -> dict[str, Any] | None:
    if isinstance(value, slice):
        return {"start": value.start, "stop": value.stop, "step": value.step}
    if isinstance(value, Model):
        return {
            **value.__dict__,
            "set": value.model_fields_set,
            "extra": value.__pydantic_extra__,
        }
    names = [field.name for field in getattr(value, "__attrs_attrs__", ())]
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    return {name: getattr(value, name) for name in names} if names else None


def _content_of_error(exc: BaseException) -> Any:
    members = getattr(exc, "exceptions", ())
    args = exc.args[:1] if members else exc.args
    return (
        _shape(args),
        getattr(exc, "__notes__", None),
        {name: _shape(part) for name, part in attributes_of(exc).items()},
        [_shape(each) for each in members],
        [_shape(each) for each in (exc.__cause__, exc.__context__)],
        exc.__suppress_context__,
    )
