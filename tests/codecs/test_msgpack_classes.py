"""Instances of classes under the default codec: which travel, and how they are put together."""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import os
import pathlib
import socket
import subprocess
import sys
import textwrap
from typing import Any, Generic, NamedTuple, TypeVar

import pytest

from atasks_ng.codecs import MsgpackCodec, register
from atasks_ng.codecs.annotations import announce
from atasks_ng.codecs.classes import recipes
from atasks_ng.words.errors import DecodeError, OptionError

codec = MsgpackCodec("test-classes")
T = TypeVar("T")
ROOT = pathlib.Path(__file__).parents[2]


def there_and_back(value: Any) -> Any:
    arrived = codec.decode(codec.encode(value))
    assert type(arrived) is type(value)
    return arrived


# -- kinds of classes, declared by the module of a task ----------------------------------------


class Color(enum.Enum):
    RED = 1
    GREEN = (2, "g")
    VERT = GREEN


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Name(enum.StrEnum):
    A = "a"


class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Bits(enum.IntFlag):
    ONE = 1
    TWO = 2


class Pair(NamedTuple):
    left: Any
    right: Any = None


class RicherPair(Pair):
    def total(self):
        return self.left + self.right


@dataclasses.dataclass
class Point:
    x: int
    y: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    color: Color
    points: tuple[Point, ...] = ()


@dataclasses.dataclass
class Base:
    a: int
    b: int = dataclasses.field(init=False)
    c: int = dataclasses.field(init=False, default=5)
    d: dataclasses.InitVar[int] = 0


@dataclasses.dataclass(kw_only=True)
class Derived(Base):
    e: str = "e"

    def __post_init__(self, d):
        self.b = d + 1
        self.not_a_field = (d,)

    @functools.cached_property
    def computed(self):
        return [self.a]


class Undecorated(Base):
    def __init__(self):
        self.a, self.b = 1, 2
        self.own = {"k": (1,)}


@dataclasses.dataclass(slots=True)
class Slotted:
    __private: int
    inner: Slotted | None = None


@dataclasses.dataclass
class Box(Generic[T]):
    content: T


class Outer:
    class Mode(enum.Enum):
        ON = "on"

    @dataclasses.dataclass(frozen=True)
    class Inner:
        mode: Outer.Mode


async def task(x):
    return x


announce(task)


@pytest.mark.parametrize(
    "member",
    [
        Color.RED,
        Color.VERT,
        Level.HIGH,
        Name.A,
        Access.READ,
        Access.READ | Access.WRITE,
        Access(0),
        Bits.ONE | Bits.TWO,
        Bits(8),
        Outer.Mode.ON,
    ],
    ids=repr,
)
def test_enum_member_arrives_as_the_same_object(member):
    assert there_and_back(member) is member


@pytest.mark.parametrize(
    "value",
    [
        Pair(1, (2,)),
        Pair([Pair(1)], {"k": Pair(2)}),
        RicherPair(1, 2),
        Point(1, [2]),
        Frozen(Color.RED, (Point(1), Point(2))),
        Derived(1, 2),
        Undecorated(),
        Slotted(1, Slotted(2)),
        Box(Box(1)),
        Box[int](1),
        Outer.Inner(Outer.Mode.ON),
        {Frozen(Color.GREEN): Frozen(Color.RED), Color.RED: 1, Level.LOW: 2, Name.A: 3},
        Point(1, [bytearray(b"x"), b"y"]),
        Frozen(bytearray(b"x"), ("\ud800",)),
    ],
    ids=str,
)
def test_instance_arrives_as_itself(value):
    arrived = there_and_back(value)

    assert arrived == value
    assert repr(arrived) == repr(value)


def test_instances_in_a_set_arrive():
    value = {Pair(1, 2), Outer.Inner(Outer.Mode.ON), frozenset({Frozen(Color.RED)})}

    assert there_and_back(value) == value


def test_instance_keeps_attributes_that_are_no_fields():
    value = Derived(1, 2)
    assert value.computed == [1]

    arrived = there_and_back(value)

    assert vars(arrived) == vars(value)
    assert vars(there_and_back(Undecorated())) == vars(Undecorated())


def test_instance_without_a_field_that_init_does_not_set_stays_so():
    arrived = there_and_back(Base(1))

    assert not hasattr(arrived, "b")
    assert arrived.c == 5


def test_named_tuple_keeps_its_attributes():
    value = RicherPair(1, 2)
    value.note = ["n"]

    arrived = there_and_back(value)

    assert arrived.note == ["n"]
    assert arrived.total() == 3


def test_put_together_runs_no_code_of_the_class():
    @register
    @dataclasses.dataclass
    class Loud:
        x: int

        def __new__(cls, *args):
            calls.append("new")
            return super().__new__(cls)

        def __post_init__(self):
            calls.append("init")

        def __setattr__(self, name, value):
            calls.append(name)
            super().__setattr__(name, value)

    calls = []
    content = codec.encode(Loud(1))
    calls.clear()

    arrived = codec.decode(content)

    assert arrived.x == 1
    assert calls == []


# -- versions that differ ----------------------------------------------------------------------


def as_known_elsewhere(value: Any, cls: type) -> Any:
    """Return what arrives where the class of a value is another version of it."""
    register(type(value), name="shop:Order")
    content = codec.encode(value)
    del recipes["shop:Order"]
    register(cls, name="shop:Order")
    try:
        return codec.decode(content)
    finally:
        del recipes["shop:Order"]


def test_field_that_the_receiver_does_not_know_is_dropped():
    new = dataclasses.make_dataclass("Order", ["id", "note"])
    old = dataclasses.make_dataclass("Order", ["id"])

    assert vars(as_known_elsewhere(new(1, "n"), old)) == {"id": 1}


def test_field_that_the_sender_does_not_know_gets_its_default():
    old = dataclasses.make_dataclass("Order", ["id"])
    tags = ("tags", list, dataclasses.field(default_factory=list))
    new = dataclasses.make_dataclass("Order", ["id", ("note", str, "none"), tags])

    assert as_known_elsewhere(old(1), new) == new(1, "none", [])


def test_field_that_is_missing_and_has_no_default_is_an_error():
    old = dataclasses.make_dataclass("Order", ["id"])
    new = dataclasses.make_dataclass("Order", ["id", "note"])

    with pytest.raises(DecodeError, match=r"without its field 'note'.* different versions"):
        as_known_elsewhere(old(1), new)


def test_named_tuple_of_another_version_arrives():
    class Old(NamedTuple):
        id: int
        gone: int

    class New(NamedTuple):
        note: str = "none"
        id: int = 0

    assert as_known_elsewhere(Old(1, 2), New) == New("none", 1)


def test_enum_member_that_the_receiver_does_not_know_is_an_error():
    with pytest.raises(DecodeError) as caught:
        as_known_elsewhere(enum.Enum("Order", ["RED", "BLUE"]).BLUE, enum.Enum("Order", ["RED"]))

    assert str(caught.value) == (
        "shop:Order has no member 'BLUE' here: "
        "caller and worker have different versions of that class"
    )


def test_flags_that_the_receiver_does_not_know_are_an_error():
    new, old = enum.Flag("Order", ["A", "B", "C"]), enum.Flag("Order", ["A"])

    with pytest.raises(DecodeError, match="shop:Order has no member 5 here: caller and worker"):
        as_known_elsewhere(new.A | new.C, old)


def test_bits_of_an_int_flag_that_the_receiver_does_not_know_are_kept():
    new, old = enum.IntFlag("Order", ["A", "B", "C"]), enum.IntFlag("Order", ["A"])

    assert as_known_elsewhere(new.A | new.C, old) == 5


@pytest.mark.parametrize(
    ("sent", "known"),
    [
        (dataclasses.make_dataclass("Order", ["id"])(1), enum.Enum("Order", ["A"])),
        (enum.Enum("Order", ["A"]).A, dataclasses.make_dataclass("Order", ["id"])),
    ],
)
def test_class_of_another_kind_is_an_error_that_names_it(sent, known):
    with pytest.raises(DecodeError, match=r"shop:Order .*different versions of that class"):
        as_known_elsewhere(sent, known)


def test_model_that_was_a_dataclass_is_an_error_that_names_it():
    pydantic = pytest.importorskip("pydantic")
    sent = dataclasses.make_dataclass("Order", ["id"])(1)

    with pytest.raises(DecodeError, match=r"shop:Order does not fit .*different versions"):
        as_known_elsewhere(sent, pydantic.create_model("Order", id=int))


def test_decoder_that_fails_is_named_by_its_class():
    class Order:
        pass

    register(Order, name="shop:Order", encode=lambda order: 1, decode=lambda value: {}["x"])
    try:
        with pytest.raises(DecodeError, match=r"register\(\) for shop:Order failed: KeyError"):
            codec.decode(codec.encode(Order()))
    finally:
        del recipes["shop:Order"]


# -- register ----------------------------------------------------------------------------------


class Money:
    def __init__(self, cents):
        self.cents = cents

    def __eq__(self, other):
        return self.cents == other.cents

    __hash__ = None


def test_register_makes_any_class_travel():
    register(Money, encode=lambda money: (money.cents, {}), decode=lambda value: Money(value[0]))

    assert there_and_back([Money(5), (Money(6),)]) == [Money(5), (Money(6),)]


def test_register_works_as_a_decorator():
    @register(name="test:Length", encode=float, decode=lambda metres: Length(metres + 0.0))
    class Length(float):
        pass

    assert there_and_back(Length(2.5)) == 2.5


def test_register_without_arguments_works_as_a_decorator():
    @register
    class Size(enum.Enum):
        S = 1

    assert there_and_back(Size.S) is Size.S


def test_register_of_a_buffer_type_is_obeyed():
    register(memoryview, encode=bytes, decode=memoryview)
    try:
        assert there_and_back([b"x", memoryview(b"y")]) == [b"x", memoryview(b"y")]
    finally:
        from atasks_ng.codecs.classes import forms

        del forms[memoryview]
        del recipes["builtins:memoryview"]


def test_register_again_replaces():
    for _ in range(2):

        @register
        @dataclasses.dataclass
        class Again:
            x: int

        assert there_and_back(Again(1)) == Again(1)


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        ((5,), {}, "wants a class, not 5"),
        ((socket.socket,), {}, "give it encode= and decode="),
        ((socket.socket,), {"encode": id}, "both encode= and decode="),
        ((list,), {"encode": id, "decode": id}, "type list travel already"),
    ],
)
def test_register_refuses_what_it_cannot_do(arguments, options, sentence):
    with pytest.raises(OptionError, match=sentence):
        register(*arguments, **options)


def test_register_refuses_a_name_that_is_taken():
    register(dataclasses.make_dataclass("One", []), name="test:taken")

    with pytest.raises(OptionError, match=r"'test:taken' belongs to .*One: give .*Other another"):
        register(dataclasses.make_dataclass("Other", []), name="test:taken")


# -- from process to process -------------------------------------------------------------------

MODULE = """
    from __future__ import annotations
    import dataclasses, enum
    from atasks_ng.codecs.annotations import announce
    from atasks_ng.codecs import MsgpackCodec
    from models import Item

    class Color(enum.Enum):
        RED = 1

    @dataclasses.dataclass
    class Order:
        items: list[Item]
        color: Color

    async def place(order): ...

    announce(place)

    if __name__ == "__main__":
        from models import Kind
        print(MsgpackCodec().encode(((Order([Item((1,), Kind.A)], Color.RED),), {})).hex())
"""
MODELS = """
    from __future__ import annotations
    import dataclasses, enum

    class Kind(enum.Enum):
        A = 1

    @dataclasses.dataclass(frozen=True)
    class Item:
        size: tuple
        kind: Kind
"""


def run_python(folder: pathlib.Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_classes_of_a_script_arrive_where_it_is_imported(tmp_path):
    (tmp_path / "shop.py").write_text(textwrap.dedent(MODULE))
    (tmp_path / "models.py").write_text(textwrap.dedent(MODELS))
    content = run_python(tmp_path, str(tmp_path / "shop.py")).strip()
    receive = (
        "import shop, sys; "
        f"(order,), _ = shop.MsgpackCodec().decode(bytes.fromhex('{content}')); "
        "print(type(order) is shop.Order, order)"
    )

    printed = run_python(tmp_path, "-c", receive)

    assert printed.strip() == (
        "True Order(items=[Item(size=(1,), kind=<Kind.A: 1>)], color=<Color.RED: 1>)"
    )


def test_importing_the_codecs_imports_no_other_package(tmp_path):
    names = ["cloudpickle", "numpy", "attr", "pydantic"]
    program = "import atasks_ng.codecs, sys, json; print(json.dumps(sorted(sys.modules)))"

    imported = json.loads(run_python(tmp_path, "-c", program))

    assert not set(names) & set(imported)


# -- attrs and pydantic ------------------------------------------------------------------------


def test_attrs_instances_arrive_as_themselves():
    attrs = pytest.importorskip("attrs")

    @register
    @attrs.define
    class Slots:
        x: int
        y: list = attrs.field(factory=list)

    @register
    @attrs.frozen(slots=False, cache_hash=True)
    class Dict:
        x: Slots = attrs.field(hash=False)
        y: str = ""

    @register
    @attrs.frozen(cache_hash=True)
    class Hashed:
        x: str

    values = [Slots(1, [2]), Dict(Slots(1)), Dict(Slots(1), "y"), Hashed("x")]
    hashes = [hash(values[1]), hash(values[3])]

    arrived = there_and_back(values)

    assert arrived == values
    assert [hash(arrived[1]), hash(arrived[3])] == hashes
    assert {Hashed("x"): 1} == there_and_back({Hashed("x"): 1})


def test_attrs_instance_carries_no_cached_hash():
    attrs = pytest.importorskip("attrs")

    @register(name="test:Cached")
    @attrs.frozen(cache_hash=True)
    class Cached:
        x: str

    value = Cached("x")
    before = codec.encode(value)
    hash(value)

    assert codec.encode(value) == before


def test_attrs_field_that_is_missing_gets_its_default():
    attrs = pytest.importorskip("attrs")
    old = attrs.make_class("Order", ["id"])
    new = attrs.make_class(
        "Order",
        {
            "id": attrs.field(),
            "note": attrs.field(default="none"),
            "tags": attrs.field(factory=list),
            "double": attrs.field(default=attrs.Factory(lambda self: self.id * 2, takes_self=True)),
        },
    )
    needy = attrs.make_class("Order", ["id", "note"])

    assert as_known_elsewhere(old(1), new) == new(1, "none", [], 2)
    with pytest.raises(DecodeError, match="'note'"):
        as_known_elsewhere(old(1), needy)


def test_pydantic_field_that_is_missing_gets_its_default():
    pydantic = pytest.importorskip("pydantic")
    old = pydantic.create_model("Order", id=(int, ...), gone=(int, 1))
    new = pydantic.create_model("Order", id=(int, ...), note=(str, "none"))
    needy = pydantic.create_model("Order", id=(int, ...), note=(str, ...))

    assert as_known_elsewhere(old(id=1), new) == new(id=1)
    with pytest.raises(DecodeError, match="'note'"):
        as_known_elsewhere(old(id=1), needy)


def test_pydantic_dataclass_and_root_model_arrive():
    pydantic = pytest.importorskip("pydantic")
    from pydantic.dataclasses import dataclass

    @register
    @dataclass
    class Data:
        x: int

    @register
    class Root(pydantic.RootModel[list[int]]):
        pass

    assert there_and_back([Data(1), Root([1, 2])]) == [Data(1), Root([1, 2])]
