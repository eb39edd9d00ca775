"""Programs that send values there and back."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import math
import pathlib
import types
import typing
import uuid
import zoneinfo

from .table import program


class Shade(enum.Enum):
    """Plain."""

    DARK = "d"
    LIGHT = "l"


class Level(enum.IntEnum):
    """A number, too."""

    LOW = 1
    HIGH = 2


class Word(enum.StrEnum):
    """A text, too."""

    YES = "yes"


class Right(enum.Flag):
    """Combined."""

    READ = 1
    WRITE = 2


class Pair(typing.NamedTuple):
    """A named tuple."""

    left: object
    right: object = None


Old = collections.namedtuple("Old", "a b", defaults=[2])


@dataclasses.dataclass
class Item:
    """A dataclass."""

    name: str
    tags: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    """A frozen one with slots."""

    x: int
    inner: object = None


@dataclasses.dataclass
class Derived(Item):
    """One that inherits."""

    more: int = 0


def echoing(task, log, *values):
    """Return the main of a program that sends values, alone and within others, and gets them."""

    @task(name=f"{log.program}:echo")
    async def echo(value):
        return value

    @task(name=f"{log.program}:kind")
    async def kind(value):
        return type(value).__qualname__, repr(value)

    async def main():
        found = [[await echo(value), await kind(value)] for value in values]
        return found, await echo(list(values)), await echo({"k": (values,)})

    return main


@program
def constants(task, log):
    return echoing(task, log, None, True, False, ...)


@program
def whole_numbers(task, log):
    return echoing(task, log, 0, -1, 127, 2**31, -(2**63), 2**63, 2**64, 10**100, -(10**100))


@program
def floating_numbers(task, log):
    return echoing(
        task,
        log,
        0.0,
        -0.0,
        1.5,
        1e308,
        5e-324,
        math.inf,
        -math.inf,
        math.nan,
        0.1 + 0.2,
        1 + 2j,
        -0j,
    )


@program
def texts(task, log):
    return echoing(task, log, "", "a", "ä€𝄞", "\0\n\t", "x" * 100_000, "\ud800", "e\u0301")


@program
def binary(task, log):
    return echoing(task, log, b"", b"\0\xff", bytes(range(256)), bytearray(b"ab"), bytearray())


@program
def sequences(task, log):
    return echoing(
        task, log, [], (), [[]], ((),), [1, "a", None], (1, (2, (3,))), [(), [()]], (1,), [1] * 1000
    )


@program
def sets(task, log):
    return echoing(task, log, set(), frozenset(), {1, 2}, frozenset("a"), {frozenset({1}), (1, 2)})


@program
def mappings(task, log):
    return echoing(
        task,
        log,
        {},
        {"b": 1, "a": 2},
        {1: "int", "1": "text", None: 0, True: 2, 2.5: 3, b"b": 4, (1, 2): 5},
        {frozenset({1}): {"deep": {"er": []}}},
        {Shade.DARK: 1, datetime.date(2024, 1, 1): 2},
    )


@program
def dates_and_times(task, log):
    utc = datetime.UTC
    return echoing(
        task,
        log,
        datetime.date(2024, 2, 29),
        datetime.time(1, 2, 3, 4),
        datetime.time(1, 2, tzinfo=utc),
        datetime.datetime(2024, 2, 29, 1, 2, 3, 4),
        datetime.datetime(2024, 10, 27, 2, 30, fold=1),
        datetime.datetime(2024, 1, 1, tzinfo=utc),
        datetime.datetime(1, 1, 1),
        datetime.datetime.max,
        datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=-5), "E")),
        datetime.timedelta(days=-1, seconds=5, microseconds=7),
        utc,
        datetime.timezone(datetime.timedelta(minutes=90)),
    )


@program
def zones(task, log):
    zone = zoneinfo.ZoneInfo("UTC")
    return echoing(task, log, zone, datetime.datetime(2024, 6, 1, tzinfo=zone))


@program
def exact_numbers(task, log):
    return echoing(
        task,
        log,
        decimal.Decimal("1.10"),
        decimal.Decimal("-0"),
        decimal.Decimal("1e400"),
        decimal.Decimal("NaN"),
        decimal.Decimal("Infinity"),
        fractions.Fraction(-1, 3),
        fractions.Fraction(10**30),
    )


@program
def identifiers_and_paths(task, log):
    return echoing(
        task,
        log,
        uuid.UUID(int=5),
        pathlib.Path("/a/b"),
        pathlib.Path(),
        pathlib.PurePosixPath("x/y"),
        pathlib.PureWindowsPath("c:/x"),
    )


@program
def ranges_and_slices(task, log):
    return echoing(
        task,
        log,
        range(5),
        range(1, 10, 2),
        range(0),
        slice(None),
        slice(1, 2, 3),
        slice("a", None),
    )


@program
def enumerations(task, log):
    return echoing(
        task, log, Shade.DARK, Level.HIGH, Word.YES, Right.READ, Right.READ | Right.WRITE, Right(0)
    )


@program
def enumeration_members_are_themselves(task, log):
    @task
    async def f(shade: Shade) -> Shade:
        return shade is Shade.DARK, shade

    async def main():
        seen, back = await f(Shade.DARK)
        return seen, back is Shade.DARK

    return main


@program
def named_tuples(task, log):
    return echoing(task, log, Pair(1), Pair(Pair(1, 2), [3]), Old(1), Old(a=3, b=(4,)))


@program
def dataclass_instances(task, log):
    return echoing(
        task,
        log,
        Item("a"),
        Item("a", ["x", Item("b")]),
        Frozen(1),
        Frozen(1, Frozen(2)),
        Derived("d", ["t"], 3),
    )


@program
def collections_of_the_library(task, log):
    counts = collections.defaultdict(list)
    counts["a"].append(1)
    return echoing(
        task,
        log,
        collections.deque([1, 2]),
        collections.deque([1, 2], maxlen=3),
        collections.Counter("abca"),
        collections.OrderedDict(b=1, a=2),
        counts,
    )


@program
def many_arguments_of_many_kinds(task, log):
    @task
    async def f(*args, **kwargs):
        return args, kwargs

    async def main():
        return await f(1, "a", [2], (3,), {4}, a=None, b=b"x", c={"d": 5}, e=Item("i"))

    return main


@program
def deep_nesting(task, log):
    @task
    async def depth(value):
        n = 0
        while value:
            value, n = value[0], n + 1
        return n

    async def main():
        value = []
        for _ in range(100):
            value = [value]
        return await depth(value)

    return main


@program
def large_values(task, log):
    @task
    async def echo(value):
        return value

    async def main():
        data = bytes(range(256)) * 4096
        numbers = list(range(20_000))
        return await echo(data) == data, await echo(numbers) == numbers

    return main


@program
def result_of_each_call_is_new(task, log):
    @task
    async def f():
        return []

    async def main():
        first, second = await f(), await f()
        first.append(1)
        return first, second

    return main


@program
def identity_of_an_argument(task, log):
    value = [1]

    @task
    async def f(x):
        return x

    async def main():
        return await f(value) is value

    return main


@program
def mutation_of_an_argument(task, log):
    @task
    async def f(x):
        x.append(2)

    async def main():
        value = [1]
        await f(value)
        return value

    return main


@program
def one_object_twice(task, log):
    @task
    async def f(a, b):
        a.append(1)
        return a, b

    async def main():
        value = []
        return await f(value, value)

    return main


@program
def sharing_within_a_result(task, log):
    @task
    async def f():
        row = [0]
        return [row, row]

    async def main():
        rows = await f()
        rows[0].append(1)
        return rows

    return main


@program
def value_that_contains_itself(task, log):
    @task
    async def f(value):
        return len(value)

    async def main():
        value = []
        value.append(value)
        return await f(value)

    return main


@program
def live_object_as_argument(task, log):
    @task
    async def f(lock):
        async with lock:
            return "locked"

    async def main():
        return await f(asyncio.Lock())

    return main


@program
def function_as_argument(task, log):
    @task
    async def f(function, x):
        return function(x)

    async def main():
        return await f(len, "abc")

    return main


@program
def task_as_argument(task, log):
    @task
    async def double(x):
        return 2 * x

    @task
    async def f(function, x):
        return await function(x)

    async def main():
        return await f(double, 3)

    return main


@program
def class_as_argument(task, log):
    @task
    async def f(cls, x):
        return cls(x)

    async def main():
        return await f(int, "3")

    return main


@program
def generator_as_argument(task, log):
    @task
    async def f(numbers):
        return sum(numbers)

    async def main():
        return await f(x for x in range(3))

    return main


@program
def instance_of_a_plain_class(task, log):
    class Plain:
        def __init__(self, x):
            self.x = x

    @task
    async def f(plain):
        return plain.x

    async def main():
        return await f(Plain(3))

    return main


@program
def subclass_of_a_built_in(task, log):
    class Name(str):
        __slots__ = ()

    @task
    async def f(name):
        return type(name).__name__

    async def main():
        return await f(Name("n"))

    return main


@program
def simple_namespace(task, log):
    return echoing(task, log, types.SimpleNamespace(a=1, b=[2]))


@program
def addresses(task, log):
    return echoing(task, log, ipaddress.ip_address("127.0.0.1"), ipaddress.ip_network("10.0.0.0/8"))


@program
def memory_view(task, log):
    @task
    async def f(view):
        return bytes(view)

    async def main():
        return await f(memoryview(b"abc"))

    return main


@program
def state_of_the_module(task, log):
    counter = {"n": 0}

    @task
    async def f():
        counter["n"] += 1
        return counter["n"]

    async def main():
        found = [await f(), await f()]
        return found, counter["n"]

    return main


@program(shared=True)
def closure_over_state(task, log):
    seen = []

    @task
    async def f(x):
        seen.append(x)
        return len(seen)

    async def main():
        return await f(1), await f(2), seen

    return main
