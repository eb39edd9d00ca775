"""Exceptions that are values arrive as what they are: class, arguments, all they carry."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import sys
import threading
from typing import Any

import pytest

from atasks_ng import atask, connect
from atasks_ng.codecs import MsgpackCodec, register
from atasks_ng.words.errors import (
    EncodeError,
    RemoteError,
    UnknownTaskError,
    WorkerLostError,
)

codec = MsgpackCodec("test-exceptions")


def there_and_back(value: Any) -> Any:
    return codec.decode(codec.encode(value))


class Odd(Exception):
    """Its constructor wants what its arguments do not tell."""

    made = 0

    def __init__(self, first: int, *, second: Any) -> None:
        super().__init__(f"odd {first}")
        self.first = first
        self.second = second
        type(self).made += 1


class Slotted(ValueError):
    __slots__ = ("extra",)


class Own(ExceptionGroup):
    pass


class Guarded(Exception):
    seen: Any = None

    @property
    def level(self) -> int:
        return 0

    @level.setter
    def level(self, value: Any) -> None:
        type(self).seen = value


class ByRecipe(Exception):
    pass


register(ByRecipe, encode=lambda exc: exc.args[0], decode=ByRecipe)


@register
@dataclasses.dataclass
class Holder:
    error: BaseException


def raised(make: Any) -> BaseException:
    try:
        make()
    except BaseException as exc:
        return exc
    raise AssertionError


def described(exc: BaseException | None) -> Any:
    if exc is None:
        return None
    members = getattr(exc, "exceptions", ())
    return (
        type(exc),
        str(exc),
        repr(exc.args) if not members else exc.args[0],
        {name: repr(value) for name, value in vars(exc).items()},
        [described(each) for each in members],
        described(exc.__cause__),
        described(exc.__context__),
        exc.__suppress_context__,
    )


ERRORS = [
    ValueError(),
    ValueError("text", 1, (2, [b"x"]), None),
    KeyError("k"),
    KeyboardInterrupt(),
    SystemExit(3),
    StopIteration((1, 2)),
    asyncio.CancelledError("message"),
    TimeoutError(),
    FileNotFoundError(2, "No such file", "a/b"),
    OSError(),
    OSError("one"),
    OSError(5, "two", "from", None, "to"),
    ImportError("no", name="module", path="path"),
    NameError("n", name="n"),
    SyntaxError("bad", ("file.py", 1, 2, "text", 1, 3)),
    raised(b"\xff".decode),
    raised("\ud800".encode),
    raised(lambda: compile("1 +", "f", "exec")),
    raised(lambda: json.loads("{")),
    raised([].pop),
    raised(lambda: 1 / 0),
    Odd(1, second=(2, {3})),
    RemoteError("app.Error", "text"),
    UnknownTaskError("app.task", "images", "w"),
    WorkerLostError("app.task", 3),
    ExceptionGroup("two", [ValueError(1), ExceptionGroup("one", [KeyError(2)])]),
    BaseExceptionGroup("all", [SystemExit(1)]),
    Own("own", [Odd(5, second=None)]),
    ByRecipe("by recipe"),
]


@pytest.mark.parametrize("exc", ERRORS, ids=lambda exc: type(exc).__name__)
def test_exception_arrives_as_what_it_is(exc):
    arrived = there_and_back(exc)

    assert described(arrived) == described(exc)
    assert arrived.__traceback__ is None


@pytest.mark.parametrize("exc", ERRORS, ids=lambda exc: type(exc).__name__)
def test_exception_arrives_anywhere(exc):
    (args, kwargs) = there_and_back((([exc], (exc,)), {"k": {"k": exc}, "h": Holder(exc)}))

    for arrived in (args[0][0], args[1][0], kwargs["k"]["k"], kwargs["h"].error):
        assert described(arrived) == described(exc)


def test_fields_of_slots_and_c_arrive():
    exc = Slotted(1)
    exc.extra = (1, 2)

    assert there_and_back(exc).extra == (1, 2)
    assert not hasattr(there_and_back(Slotted(1)), "extra")
    assert there_and_back(FileNotFoundError(2, "No", "file")).filename == "file"
    assert str(there_and_back(FileNotFoundError(2, "No"))) == "[Errno 2] No"


def test_notes_arrive():
    exc = ValueError("x")
    exc.add_note("one")
    exc.add_note("two")

    assert there_and_back(exc).__notes__ == ["one", "two"]
    assert not hasattr(there_and_back(ValueError()), "__notes__")


def test_cause_and_context_arrive_as_one_object():
    def chain() -> None:
        try:
            raise KeyError("inner")
        except KeyError as exc:
            raise Odd(1, second=exc) from exc

    arrived = there_and_back(raised(chain))

    assert repr(arrived.__cause__) == "KeyError('inner')"
    assert arrived.__context__ is arrived.__cause__
    assert arrived.second is arrived.__cause__
    assert arrived.__suppress_context__


def test_chain_in_which_all_lead_to_all_costs_little():
    exc = ValueError("first")
    for number in range(40):
        outer = Odd(number, second=exc)
        outer.__cause__ = outer.__context__ = exc
        outer.args = (exc,)
        exc = outer

    content = codec.encode(exc)
    arrived = codec.decode(content)

    assert len(content) < 40 * 300
    assert arrived.args[0] is arrived.second is arrived.__cause__


def test_exceptions_that_lead_to_each_other_arrive():
    one, other = ValueError(1), KeyError(2)
    one.__cause__, other.__cause__ = other, one

    arrived = there_and_back(one)

    assert arrived.__cause__.__cause__ is arrived


def test_exception_that_is_its_own_argument_is_refused():
    exc = ValueError()
    exc.args = ([exc],)

    with pytest.raises(EncodeError, match="contains itself"):
        codec.encode(exc)


def test_shared_member_arrives_as_one_object():
    member = ValueError(1)

    arrived = there_and_back(ExceptionGroup("g", [member, ExceptionGroup("h", [member])]))

    assert arrived.exceptions[0] is arrived.exceptions[1].exceptions[0]


@pytest.mark.parametrize(
    ("exc", "path"),
    [
        (ValueError(1, threading.Lock()), "value[0].args[1]"),
        (Odd(1, second={"k": threading.Lock()}), "value[0].second['k']"),
        (ExceptionGroup("g", [ValueError(threading.Lock())]), "value[0].exceptions[0].args[0]"),
    ],
    ids=["argument", "attribute", "member"],
)
def test_what_cannot_be_encoded_in_an_exception_is_named(exc, path):
    with pytest.raises(EncodeError) as caught:
        codec.encode([exc])

    assert str(caught.value).startswith(f"{path}: ")
    assert "_thread.lock" in str(caught.value)


def test_buffers_and_lone_surrogates_in_an_exception_arrive():
    arrived = there_and_back(ValueError(bytearray(b"x"), "\ud800"))

    assert repr(arrived) == "ValueError(bytearray(b'x'), '\\ud800')"


def test_classes_of_functions_arrive_as_themselves():
    def make() -> type[Exception]:
        class Local(Exception):
            pass

        return Local

    old, new = make(), make()

    assert [type(each) for each in there_and_back([old(), new()])] == [old, new]


def test_class_of_exceptions_travels_itself():
    classes = (ValueError, Odd, asyncio.CancelledError, BaseException)

    assert there_and_back(classes) == classes


def test_constructor_and_properties_do_not_run():
    exc = Guarded()
    exc.__dict__["level"] = 5
    odd = codec.encode(Odd(1, second=2))
    made = Odd.made

    codec.decode(odd)
    there_and_back(exc)

    assert Odd.made == made
    assert Guarded.seen is None


def test_class_that_is_not_known_arrives_as_remote_error():
    program = (
        "import sys; from atasks_ng.codecs import MsgpackCodec\n"
        "class Elsewhere(Exception): pass\n"
        "Elsewhere.__module__ = 'else.where'\n"
        "exc = Elsewhere('text', 5); exc.add_note('note'); exc.__cause__ = KeyError('k')\n"
        "group = ExceptionGroup('g', [exc])\n"
        "sys.stdout.buffer.write(MsgpackCodec().encode([exc, group]))"
    )
    content = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

    exc, group = codec.decode(content.stdout)

    assert type(exc) is RemoteError
    assert exc.args == ("else.where.Elsewhere", "('text', 5)")
    assert exc.__notes__ == ["note"]
    assert repr(exc.__cause__) == "KeyError('k')"
    assert repr(group.exceptions[0]) == repr(exc)


async def test_list_of_exceptions_gathered_by_a_task_arrives():
    async with connect("loopback://", namespace="test-exceptions-gather"):
        one, two = await gathering(2)

    assert (one, repr(two)) == (0, "Odd('odd 1')")
    assert two.second == "s"


@atask(namespace="test-exceptions-gather")
async def gathering(count: int) -> list[Any]:
    async def one(number: int) -> int:
        if number:
            raise Odd(number, second="s")
        return number

    return await asyncio.gather(*map(one, range(count)), return_exceptions=True)
