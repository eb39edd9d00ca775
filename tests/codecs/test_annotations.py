"""Classes are found in the annotations and beside the functions of tasks."""

# No `from __future__ import annotations`: most annotations here name what is local to a test.

import dataclasses
import enum
import functools
import sys
import types
import typing
from typing import Any, TypeVar

import pytest

from atasks_ng.codecs import MsgpackCodec, register
from atasks_ng.codecs.annotations import announce, register_annotations
from atasks_ng.words.errors import EncodeError

codec = MsgpackCodec("test-annotations")


class Color(enum.Enum):
    RED = 1


async def task(x): ...


announce(task)


def there_and_back(value: Any) -> Any:
    arrived = codec.decode(codec.encode(value))
    assert type(arrived) is type(value)
    return arrived


def local_enum(name):
    return enum.Enum(name, ["A"])


def test_annotations_are_looked_through_however_deep():
    found = [local_enum(f"Found{number}") for number in range(9)]

    @dataclasses.dataclass
    class Holder:
        x: dict[str, found[0] | None]

    class Keys(typing.TypedDict):
        k: typing.Required[found[1]]

    bound = TypeVar("bound", bound=found[2])

    async def function(
        a: typing.Annotated[typing.Optional[Holder], "note"],  # noqa: UP045
        b: list[tuple[Keys, ...]],
        c: bound,
        d: typing.Callable[[found[3]], found[4]],
        e: typing.NewType("New", found[5]),
        *args: "typing.Literal[1] | found[6]",
        f=found[7].A,
        **kwargs: int,
    ) -> typing.AsyncIterator[found[8]]:
        yield found

    register_annotations(function)

    for cls in found:
        assert there_and_back(cls.A) is cls.A
    assert there_and_back(Holder({})) == Holder({})


def test_annotation_with_a_name_that_means_nothing_does_not_hide_the_rest():
    Known = local_enum("Known")  # noqa: N806

    async def function(x: "dict[Missing, Known]"):  # noqa: F821
        return Known  # makes the name one of the function's own

    register_annotations(function)

    assert there_and_back(Known.A) is Known.A


class Endless:
    def __getattr__(self, name):
        return Endless()


@pytest.mark.parametrize(
    "annotation",
    ["1/0", "][", "Missing.x", "__import__('nowhere')", 5, Endless(), [Endless()], object()],
)
def test_annotation_that_makes_no_sense_is_skipped(annotation):
    Known = local_enum("Known")  # noqa: N806

    async def function(x, y): ...

    function.__annotations__ = {"x": annotation, "y": Known}

    register_annotations(function)

    assert there_and_back(Known.A) is Known.A


def test_one_text_means_different_classes_in_different_modules(monkeypatch):
    modules = [types.ModuleType(name) for name in ("test_module_1", "test_module_2")]
    source = "@dataclass\nclass Holder:\n    kind: 'Kind'\nclass Kind(Enum):\n    A = 1"
    for module in modules:
        monkeypatch.setitem(sys.modules, module.__name__, module)
        module.__dict__.update(dataclass=dataclasses.dataclass, Enum=enum.Enum)
        exec(source, vars(module))

    async def function(x: modules[0].Holder, y: modules[1].Holder): ...

    register_annotations(function)

    for module in modules:
        assert there_and_back(module.Holder(module.Kind.A)).kind is module.Kind.A


def test_text_that_stands_for_itself_ends(monkeypatch):
    monkeypatch.setitem(globals(), "Echo", "Echo")

    async def function(x: "Echo"): ...  # noqa: F821

    register_annotations(function)


@pytest.mark.parametrize("function", [None, 5, print, functools.partial(task, 1), Endless()])
def test_announcing_anything_never_raises(function):
    announce(function)
    register_annotations(function)
    Known = local_enum("Known")  # noqa: N806

    with pytest.raises(EncodeError):
        codec.encode(Known.A)


def test_class_of_a_task_defined_later_takes_the_name_of_the_earlier():
    arrived = []
    for _ in range(2):

        @dataclasses.dataclass
        class Again:
            x: int

        async def again(x: Again): ...

        announce(again)
        arrived.append(there_and_back(Again(1)))

    assert arrived[1] == Again(1)
    with pytest.raises(EncodeError, match="was defined again"):
        codec.encode(arrived[0])


def test_class_with_a_finalizer_is_not_found_but_can_be_registered():
    @dataclasses.dataclass
    class Temporary:
        path: str

        def __del__(self): ...

    async def function(x: Temporary): ...

    register_annotations(function)
    with pytest.raises(EncodeError):
        codec.encode(Temporary("p"))

    register(Temporary)
    assert there_and_back(Temporary("p")) == Temporary("p")


def test_class_that_a_module_of_tasks_gains_later_is_found(monkeypatch):
    there_and_back(Color.RED)  # by now this module has been looked through
    Later = dataclasses.make_dataclass("Later", ["x"])  # noqa: N806
    monkeypatch.setitem(globals(), "Later", Later)
    Later.__module__ = __name__

    assert there_and_back(Later(1)) == Later(1)


def test_class_of_a_module_without_tasks_is_not_found():
    @dataclasses.dataclass
    class Stranger:
        x: int

    with pytest.raises(EncodeError, match=r"no task declares that class.*register\(Stranger\)"):
        codec.encode(Stranger(1))


def test_class_with_data_of_a_builtin_below_it_cannot_be_encoded():
    @dataclasses.dataclass
    class Odd(dict):
        x: int

    async def function(x: Odd): ...

    register_annotations(function)

    with pytest.raises(EncodeError, match="Odd"):
        codec.encode(Odd(1))


def test_attrs_fields_are_looked_through():
    attrs = pytest.importorskip("attrs")
    Kind = local_enum("Kind")  # noqa: N806
    Holder = attrs.make_class("Holder", {"kind": attrs.field(type=Kind)})  # noqa: N806

    async def function(x: Holder): ...

    register_annotations(function)

    assert there_and_back(Holder(Kind.A)) == Holder(Kind.A)


def test_pydantic_models_arrive_as_themselves():
    pydantic = pytest.importorskip("pydantic")
    Kind = local_enum("Kind")  # noqa: N806
    model = functools.partial(pydantic.create_model, __module__=__name__)
    Inner = model("Inner", kind=(Kind, ...))  # noqa: N806

    class Model(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        inner: typing.Any
        n: int = 5
        _private: tuple = pydantic.PrivateAttr(default=(1,))

    async def function(x: Model, y: list[Inner]): ...

    register_annotations(function)
    value = Model(inner=Inner(kind=Kind.A), more={"k": (1, 2)})
    value._private = (2, [3])

    arrived = there_and_back(value)

    assert arrived == value
    assert arrived.inner.kind is Kind.A
    assert arrived.model_fields_set == {"inner", "more"}
    assert arrived.model_extra == {"more": {"k": (1, 2)}}
    assert arrived._private == (2, [3])
    arrived.n = 6
    assert arrived.model_dump()["n"] == 6
