"""``validate=True``: which arguments are refused, and what is said about them."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import functools
import inspect
import sys
import typing
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Annotated, Any, Generic, Literal, NewType, NotRequired, Protocol, Self, TypeVar

import pytest

from atasks_ng import atask
from tests.tasks.validating import refused


class Movie(typing.TypedDict):
    title: str
    cast: NotRequired[list[Person]]


class Person(typing.TypedDict, total=False):
    name: str


class Limits(typing.TypedDict, total=False):
    low: int
    high: int


class Pair(typing.NamedTuple):
    left: int
    right: str


@dataclasses.dataclass
class Point:
    x: int = 0


class Color(enum.Enum):
    RED = 1


class Named(Protocol):
    name: str


class HasName:
    name = "x"


T = TypeVar("T")
Number = TypeVar("Number", bound=float)
UserId = NewType("UserId", int)
Json = dict[str, "Json"] | list["Json"] | str | int | None


class Box(Generic[T]):
    pass


def task_of(annotation: Any, namespace: str) -> Any:
    async def function(x: Any) -> Any:
        return x

    function.__annotations__["x"] = annotation
    return atask(function, namespace=namespace, validate=True)


# -- what fits -----------------------------------------------------------------------------------

# Annotation, a value that fits, one that does not, what is said of that one.
TABLE: list[tuple[Any, Any, Any, str]] = [
    (int, 1, "1", "expected int, got str"),
    ("int", 1, 1.0, "expected int, got float"),
    (int, True, None, "expected int, got NoneType"),
    (float, 1, "1", "expected float, got str"),
    (str | None, None, 1, "expected str | None, got int"),
    ("str | None", "x", b"x", "expected str | None, got bytes"),
    (typing.Optional[Point], Point(), {"x": 1}, "Optional"),  # noqa: UP045
    ("Point", Point(), 1, "expected Point, got int"),
    (list, [1, "a"], (1,), "expected list, got tuple"),
    (list[int], [1, 2], [1, "a"], "got list (item 1 is not an instance of int)"),
    (list["Point"], [Point()], [Point(), 1], "item 1 is not an instance of"),
    (list[int] | None, [1], [None], "item 0 is not an instance of int"),
    (dict[str, list[int]], {"a": [1]}, {"a": [1, "b"]}, "item 1 of value of key 'a'"),
    (tuple[int, str], (1, "a"), (1, 2), "item 1 is not an instance of str"),
    (tuple[int, ...], (1, 2, 3), (1, 2, None), "item 2 is not an instance of int"),
    (set[int], {1}, [1], "is not a set"),
    (frozenset[str], frozenset("a"), {"a"}, "is not a frozenset"),
    (collections.abc.Sequence[int], (1,), {1}, "is not a sequence"),
    (collections.abc.Mapping[str, int], {"a": 1}, {1: 1}, "key 1 is not an instance of str"),
    ("collections.abc.Callable[[int], str]", repr, "repr", "is not callable"),
    (type[Exception], ValueError, int, "is not a subclass of Exception"),
    (Movie, {"title": "M"}, {"cast": []}, 'missing required key(s): "title"'),
    ("Movie", {"title": "M", "cast": [{}]}, {"title": "M", "cast": [{"name": 1}]}, "'name'"),
    (Pair, Pair(1, "a"), Pair("a", 1), "attribute 'left'"),  # type: ignore[arg-type]
    (Color, Color.RED, 1, "expected tests.tasks.test_validation.Color, got int"),
    (Literal["a", 1], 1, 2, "got int (is not any of ('a', 1))"),
    (Literal["a", 1], "a", True, "got bool (is not any of ('a', 1))"),
    (UserId, UserId(1), "1", "is not an instance of int"),
    (Annotated[int, "metres"], 1, "1", "is not an instance of int"),
    (Named, HasName(), 1, "no attribute named 'name'"),
    (Box[int], Box(), 1, "is not an instance of"),
    (Number, 1.5, "x", "is neither float or int"),
    ("Json", {"a": [1, None]}, {"a": [1, {"b": 1.5}]}, "expected Json, got dict"),
    (None, None, 0, "expected None, got int"),
]


@pytest.mark.parametrize(
    ("annotation", "right", "wrong", "said"),
    TABLE,
    ids=[f"{number}-{row[0]}" for number, row in enumerate(TABLE)],
)
async def test_value_is_held_against_its_annotation(
    annotation: Any, right: Any, wrong: Any, said: str, namespace: str
) -> None:
    task = task_of(annotation, namespace)

    task(right).close()
    (line,) = refused(task, wrong)

    assert line.startswith("x: expected ")
    assert said in line


@pytest.mark.parametrize("annotation", [Any, object, T, "Any", inspect.Parameter.empty], ids=str)
async def test_anything_fits_where_anything_is_said_to(annotation: Any, namespace: str) -> None:
    task = task_of(annotation, namespace)

    for value in (1, None, object()):
        task(value).close()


async def test_each_wrong_argument_is_named(namespace: str) -> None:
    @atask(namespace=namespace, validate=True)
    async def move(name: str, x: int, y: int = 0, *, tags: list[str], speed: float = 1) -> None: ...

    call: Any = move

    assert refused(call, 1, 2, "3", tags=["a", 4], speed=1) == [
        "name: expected str, got int",
        "y: expected int, got str",
        "tags: expected list[str], got list (item 1 is not an instance of str)",
    ]


async def test_a_long_list_of_wrong_arguments_is_cut(namespace: str) -> None:
    @atask(namespace=namespace, validate=True)
    async def total(*numbers: int) -> None: ...

    call: Any = total

    lines = refused(call, *"x" * 1000)

    assert lines == [*[f"numbers[{n}]: expected int, got str" for n in range(10)], "and more"]


async def test_error_does_not_show_values(namespace: str) -> None:
    call = task_of(int, namespace)

    assert "canary" not in "".join(refused(call, "canary"))
    assert "canary" not in "".join(refused(task_of(list[int], namespace + "2"), ["canary"]))
    assert "canary" not in "".join(refused(task_of(Literal["a"], namespace + "3"), "canary"))


async def test_missing_arguments_are_told_in_pythons_words(namespace: str) -> None:
    async def move(x: int, y: int) -> None: ...

    task: Any = atask(move, namespace=namespace, validate=True)
    for args in [(), ("1",), (1, 2, "3")]:
        with pytest.raises(TypeError) as local:
            move(*args)
        with pytest.raises(TypeError) as remote:
            task(*args)
        assert remote.value.args == local.value.args


# -- parameters of every kind --------------------------------------------------------------------


async def test_parameters_of_any_kind_are_checked(namespace: str) -> None:
    @atask(namespace=namespace, validate=True)
    async def call(a: int, /, b: int, *c: int, d: int, **self: int) -> None: ...

    wrong: Any = call

    call(1, 2, 3, d=4, e=5).close()
    assert refused(wrong, "", "", 3, "", d="", e="", f=6) == [
        f"{name}: expected int, got str" for name in ("a", "b", "c[1]", "d", "e")
    ]


async def test_keywords_may_be_those_of_a_typed_dict(namespace: str) -> None:
    @atask(namespace=namespace, validate=True)
    async def call(**limits: typing.Unpack[Limits]) -> None: ...

    wrong: Any = call

    call(low=1).close()
    assert "value of key 'high' is not" in refused(wrong, low=1, high="2")[0]
    assert "unexpected" in refused(wrong, middle=1)[0]


async def test_positional_arguments_may_be_those_of_a_tuple(namespace: str) -> None:
    @atask(namespace=namespace, validate=True)
    async def call(*args: *tuple[int, str]) -> None: ...

    wrong: Any = call

    call(1, "a").close()
    assert "item 1 is not an instance of str" in refused(wrong, 1, 2)[0]


async def test_parameters_of_a_wrapper_are_those_that_it_shows(namespace: str) -> None:
    def twice(function: Any) -> Any:
        @functools.wraps(function)
        async def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
            await function(*args, **kwargs)

        return wrapper

    @atask(namespace=namespace, validate=True)
    @twice
    async def call(x: int) -> None: ...

    call(1).close()
    assert refused(call, "1") == ["x: expected int, got str"]


P = typing.ParamSpec("P")


async def test_parameters_that_are_not_known_are_not_checked(
    namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def forwards(*args: P.args, **kwargs: P.kwargs) -> None: ...

    task: Any = atask(forwards, namespace=namespace, validate=True)

    task(1, "a", x=None).close()
    assert caplog.records == []


async def test_default_is_not_checked_unless_it_is_given(namespace: str) -> None:
    @atask(namespace=namespace, validate=True)
    async def call(x: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013  # as old code has it

    wrong: Any = call

    call().close()
    assert refused(wrong, None) == ["x: expected int, got NoneType"]


async def test_partial_and_callable_object_are_checked(namespace: str) -> None:
    class Adder:
        async def __call__(self, x: int) -> None: ...

    async def add(x: int, y: Point) -> None: ...

    adder: Any = atask(Adder(), namespace=namespace, name="adder", validate=True)
    partial: Any = atask(functools.partial(add, 1), namespace=namespace, validate=True)

    adder(1).close()
    partial(Point()).close()
    assert refused(adder, "1") == ["x: expected int, got str"]
    assert refused(partial, 2) == ["y: expected Point, got int"]


class Account:
    def __init__(self, balance: int = 0) -> None:
        self.balance = balance

    @atask(namespace="validated-account", validate=True)
    async def pay(self, amount: int, to: Self | None = None) -> int:
        return self.balance + amount

    @staticmethod
    @atask(namespace="validated-account", validate=True)
    async def static(amount: int) -> int:
        return amount

    @classmethod
    @atask(namespace="validated-account", validate=True)
    async def of_class(cls, amount: int, other: Account | None = None) -> int:
        return amount

    @atask(namespace="validated-account", validate=True)
    @staticmethod
    async def below_static(amount: int) -> int:
        return amount

    @atask(namespace="validated-account", validate=True)
    async def items(self, n: int) -> AsyncIterator[int]:
        yield n


@pytest.mark.parametrize(
    "task",
    [Account().pay, Account.static, Account.of_class, Account.below_static, Account().items],
    ids=["method", "static", "class", "below static", "generator"],
)
async def test_methods_of_any_kind_are_checked(task: Any) -> None:
    made = task(1)
    if inspect.iscoroutine(made):
        made.close()

    (line,) = refused(task, "1")

    assert line.endswith("expected int, got str")


async def test_self_is_the_class_of_the_instance() -> None:
    class Savings(Account): ...

    wrong: Any = Savings().pay

    Savings().pay(1, Savings()).close()
    assert "is not an instance of the self type" in refused(wrong, 1, Account())[0]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is new in Python 3.12")
async def test_type_parameters_and_type_aliases_are_known(namespace: str) -> None:
    source = (
        "from __future__ import annotations\n"
        "type Tree[T] = T | list[Tree[T]]\n"
        "async def call[N: float](x: N, y: list[N], z: Tree[int]) -> None: ...\n"
    )
    module = ModuleType("written_for_validation")
    exec(source, vars(module))
    call = atask(module.call, namespace=namespace, name="call", validate=True)

    call(1, [2], 1).close()
    assert [line.split(":")[0] for line in refused(call, "1", ["2"], 1)] == ["x", "y"]
