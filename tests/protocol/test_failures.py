"""Exceptions as data and back: what is rebuilt is what was written down."""

from __future__ import annotations

import asyncio
import errno
import linecache
import sys
import traceback
import types
from typing import Any, ClassVar

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atasks_ng.protocol import failures, tracebacks
from atasks_ng.words.errors import RemoteError
from tests.protocol.raising import raised


def travel(exc: BaseException) -> BaseException:
    """Return what arrives on the other side."""
    return failures.rebuild(failures.describe(exc, "worker", "m:f"))


def unknown_here(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record as a process sees it that has not imported the classes."""
    for each in record["errors"]:
        each["module"] = "nowhere"
        each["key"] = "another process"
    return record


# -- class, arguments, attributes ----------------------------------------------------------------


class Plain(Exception):
    """As most are."""


class OddConstructor(Exception):
    """Its constructor does not take what ends up in args."""

    def __init__(self, code: int, *, hint: str) -> None:
        super().__init__(f"{code}: {hint}")
        self.code = code
        self.hint = hint


class ForgotSuper(Exception):
    """It never calls the constructor above it."""

    def __init__(self, code: int) -> None:
        self.code = code


class Refusing(Exception):
    """It can be made once only."""

    made = 0

    def __init__(self) -> None:
        if Refusing.made:
            raise RuntimeError("only one of us")
        Refusing.made += 1
        super().__init__("the only one")


class Slotted(Exception):
    """Some of it is in slots."""

    __slots__ = ("left", "right")

    def __init__(self, left: int) -> None:
        super().__init__(left)
        self.left = left


class Computed(Exception):
    """One of its attributes cannot be set."""

    @property
    def double(self) -> int:
        return 2 * int(self.args[0])


class OwnOSError(OSError):
    """A subclass of a class with fields in C."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.ENOENT, "gone", path)
        self.path = path


class OwnGroup(ExceptionGroup[Exception]):
    """A group with something of its own."""

    extra: int = 0


SAMPLES: list[BaseException] = [
    Plain(),
    Plain("text", 1, None, (2, 3)),
    OddConstructor(7, hint="turn it"),
    ForgotSuper(7),
    Refusing(),
    Slotted(1),
    Computed(4),
    OwnOSError("/nowhere"),
    OSError("text"),
    FileNotFoundError(errno.ENOENT, "No such file", "/nowhere"),
    OSError(errno.EXDEV, "Invalid link", "/a", None, "/b"),
    ConnectionResetError(errno.ECONNRESET, "reset"),
    KeyError("missing"),
    StopIteration("value"),
    StopAsyncIteration(),
    SystemExit(3),
    SystemExit("text"),
    KeyboardInterrupt(),
    GeneratorExit(),
    asyncio.CancelledError("why"),
    ImportError("text", name="module", path="/m.py"),
    ModuleNotFoundError("text", name="module"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
    UnicodeEncodeError("ascii", "ż", 0, 1, "invalid"),
    SyntaxError("text", ("file.py", 3, 4, "x = = 1\n", 3, 5)),
    AttributeError("text", name="attribute", obj=None),
    NameError("text", name="x"),
    RecursionError("text"),
    TimeoutError(),
]


@pytest.mark.parametrize("exc", SAMPLES, ids=lambda exc: f"{type(exc).__name__}{exc.args!r:.20}")
def test_exception_arrives_as_itself(exc: BaseException) -> None:
    arrived = travel(exc)

    assert type(arrived) is type(exc)
    assert arrived.args == exc.args
    assert str(arrived) == str(exc)
    assert repr(arrived) == repr(exc)
    assert failures.attributes_of(arrived) == failures.attributes_of(exc)


@pytest.mark.parametrize(
    ("exc", "names"),
    [
        (OwnOSError("/nowhere"), ["errno", "strerror", "filename", "path"]),
        (OSError(errno.EXDEV, "Invalid link", "/a", None, "/b"), ["filename", "filename2"]),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "why"), ["encoding", "object", "start", "end"]),
        (SyntaxError("text", ("f.py", 3, 4, "x")), ["filename", "lineno", "offset", "text", "msg"]),
        (SystemExit(3), ["code"]),
        (StopIteration(4), ["value"]),
        (ImportError("t", name="n", path="p"), ["name", "path", "msg"]),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, BaseException) else None,
)
def test_fields_in_c_arrive(exc: BaseException, names: list[str]) -> None:
    arrived = travel(exc)

    assert [getattr(arrived, name) for name in names] == [getattr(exc, name) for name in names]


def test_constructor_is_not_called() -> None:
    calls = []

    class Loud(Exception):
        def __init__(self, text: str) -> None:
            calls.append(text)
            super().__init__(text)

    exc = Loud("once")

    assert str(travel(exc)) == "once"
    assert calls == ["once"]


def test_slot_without_a_value_stays_so() -> None:
    arrived = travel(Slotted(1))

    assert isinstance(arrived, Slotted)
    assert arrived.left == 1
    assert not hasattr(arrived, "right")


def test_notes_arrive_in_order() -> None:
    exc = Plain()
    exc.add_note("first")
    exc.add_note("second")

    assert travel(exc).__notes__ == ["first", "second"]


def test_exception_without_notes_has_none() -> None:
    assert not hasattr(travel(Plain()), "__notes__")


def test_object_that_lacked_an_attribute_does_not_travel() -> None:
    exc = raised(lambda: object().missing)  # type: ignore[attr-defined]
    assert isinstance(exc, AttributeError)
    assert exc.obj is not None

    arrived = travel(exc)

    assert isinstance(arrived, AttributeError)
    assert (arrived.name, arrived.obj) == ("missing", None)


def test_exception_whose_text_fails_arrives() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("mute")

    record = failures.describe(Mute(1), "worker", "m:f")

    assert record["errors"][0]["text"] == "<Mute whose str() fails>"
    assert failures.rebuild(record).args == (1,)


def test_long_text_is_cut() -> None:
    record = failures.describe(Plain("x" * (failures.MAX_TEXT + 1)), "worker", "m:f")

    assert len(record["errors"][0]["text"]) == failures.MAX_TEXT


def test_summary_names_the_class_and_the_text() -> None:
    assert failures.summary_of(ValueError("wrong")) == ["builtins.ValueError", "wrong"]


# -- classes -------------------------------------------------------------------------------------


def test_local_class_is_found_in_the_process_that_made_it() -> None:
    class Local(Exception):
        """Nobody else can import it."""

    assert type(travel(Local(1))) is Local


def test_two_local_classes_of_one_name_are_told_apart() -> None:
    def make() -> type[Exception]:
        class Local(Exception):
            """One of two."""

        return Local

    first, second = make(), make()

    assert type(travel(first())) is first
    assert type(travel(second())) is second


def test_local_class_of_another_process_is_found_by_its_name() -> None:
    class Local(Exception):
        """Defined in both processes."""

    record = failures.describe(Local(1), "worker", "m:f")
    record["errors"][0]["key"] = "another process"

    assert type(failures.rebuild(record)) is Local


def test_class_that_is_not_known_becomes_a_remote_error() -> None:
    record = unknown_here(failures.describe(Plain("text"), "worker", "m:f"))

    arrived = failures.rebuild(record)

    assert isinstance(arrived, RemoteError)
    assert arrived.args == ("nowhere.Plain", "text")


def test_class_is_not_imported(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "never_imported.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(str(tmp_path))
    record = failures.describe(Plain("text"), "worker", "m:f")
    record["errors"][0].update(module="never_imported", key="another process")

    assert isinstance(failures.rebuild(record), RemoteError)
    assert "never_imported" not in sys.modules


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "object"),
        ("builtins", "Exception.__subclasses__"),
        ("builtins", "__import__"),
        ("subprocess", "Popen"),
    ],
)
def test_what_is_no_exception_class_is_not_used(module: str, name: str) -> None:
    record = failures.describe(Plain("text"), "worker", "m:f")
    record["errors"][0].update(module=module, name=name, key="another process")

    assert isinstance(failures.rebuild(record), RemoteError)


# -- chains and groups ---------------------------------------------------------------------------


def test_cause_context_and_suppression_arrive() -> None:
    def fail() -> None:
        try:
            raise KeyError("below")
        except KeyError as exc:
            raise Plain("above") from exc

    arrived = travel(raised(fail))

    assert repr(arrived.__cause__) == repr(arrived.__context__) == "KeyError('below')"
    assert arrived.__suppress_context__


def test_suppressed_context_stays_suppressed() -> None:
    def fail() -> None:
        try:
            raise KeyError("below")
        except KeyError:
            raise Plain("above") from None

    arrived = travel(raised(fail))

    assert arrived.__cause__ is None
    assert repr(arrived.__context__) == "KeyError('below')"
    assert arrived.__suppress_context__


def test_one_exception_in_two_places_arrives_as_one() -> None:
    shared = KeyError("shared")
    exc = Plain()
    exc.__cause__ = exc.__context__ = shared

    arrived = travel(exc)

    assert arrived.__cause__ is arrived.__context__


def test_cyclic_chain_arrives() -> None:
    first, second = Plain("first"), Plain("second")
    first.__cause__, second.__cause__ = second, first

    arrived = travel(first)

    assert arrived.__cause__ is not None
    assert arrived.__cause__.__cause__ is arrived


def test_exception_that_is_its_own_cause_arrives() -> None:
    exc = Plain()
    exc.__cause__ = exc

    arrived = travel(exc)

    assert arrived.__cause__ is arrived


def test_long_chain_arrives() -> None:
    exc = last = Plain(0)
    for number in range(1, 3000):
        last.__context__ = last = Plain(number)  # type: ignore[assignment]

    arrived: BaseException | None = travel(exc)

    count = 0
    while arrived is not None:
        count += 1
        arrived = arrived.__context__
    assert count == 3000


def test_endless_chain_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "MAX_EXCEPTIONS", 10)
    exc = last = Plain(0)
    for number in range(1, 50):
        last.__context__ = last = Plain(number)  # type: ignore[assignment]

    assert len(failures.describe(exc, "worker", "m:f")["errors"]) == 10
    assert isinstance(travel(exc), Plain)


def test_group_arrives_with_nested_members() -> None:
    inner = ExceptionGroup("inner", [KeyError("k"), Plain(1)])
    group = ExceptionGroup("outer", [ValueError("v"), inner])

    assert repr(travel(group)) == repr(group)


def test_group_of_base_exceptions_arrives() -> None:
    group = BaseExceptionGroup("outer", [SystemExit(1), KeyboardInterrupt()])

    assert repr(travel(group)) == repr(group)


def test_group_of_a_user_arrives_with_what_it_carries() -> None:
    group = OwnGroup("mine", [Plain(1)])
    group.extra = 5

    arrived = travel(group)

    assert type(arrived) is OwnGroup
    assert (arrived.message, arrived.extra) == ("mine", 5)


def test_group_with_a_member_that_is_also_its_cause_arrives() -> None:
    member = Plain("member")
    group = ExceptionGroup("group", [member])
    group.__cause__ = member
    member.__context__ = group

    arrived = travel(group)

    assert isinstance(arrived, ExceptionGroup)
    assert arrived.__cause__ is arrived.exceptions[0]
    assert arrived.exceptions[0].__context__ is arrived


def test_group_of_a_class_that_is_not_known_keeps_its_members() -> None:
    group = OwnGroup("mine", [ValueError("v")])
    record = failures.describe(group, "worker", "m:f")
    record["errors"][0].update(module="nowhere", key="another process")

    arrived = failures.rebuild(record)

    assert isinstance(arrived, BaseExceptionGroup)
    assert arrived.message == "nowhere.OwnGroup: mine"
    assert repr(arrived.exceptions) == "(ValueError('v'),)"


def test_split_and_except_star_work_on_what_arrives() -> None:
    arrived = travel(ExceptionGroup("outer", [ValueError("v"), KeyError("k")]))
    assert isinstance(arrived, ExceptionGroup)

    match, rest = arrived.split(ValueError)

    assert repr(match) == "ExceptionGroup('outer', [ValueError('v')])"
    assert repr(rest) == "ExceptionGroup('outer', [KeyError('k')])"


# -- tracebacks ----------------------------------------------------------------------------------


def divide(a: int, b: int) -> float:
    return a / b


def below() -> float:
    return divide(1, 0)


def test_traceback_shows_the_frames_of_the_callee() -> None:
    local = raised(below)

    arrived = travel(local)

    shown = [
        (frame.filename, frame.lineno, frame.name, frame.line)
        for frame in traceback.extract_tb(arrived.__traceback__)
    ]
    assert shown[0][:3] == ("<worker worker>", 1, "m:f")
    assert shown[1:] == [
        (frame.filename, frame.lineno, frame.name, frame.line)
        for frame in traceback.extract_tb(local.__traceback__)
    ]


def test_formatted_traceback_looks_like_the_local_one() -> None:
    local = raised(below)

    lines = "".join(traceback.format_exception(travel(local))).splitlines()

    # Columns do not travel, so nothing is underlined that need not be the culprit.
    expected = "".join(traceback.format_exception(local)).splitlines()
    expected = [line for line in expected if not set(line) <= set(" ~^")]
    assert lines == [expected[0], '  File "<worker worker>", line 1, in m:f', *expected[1:]]


def test_source_of_a_file_that_is_not_here_is_shown() -> None:
    record = failures.describe(raised(below), "worker", "m:f")
    for frame in record["errors"][0]["frames"][1:]:
        frame[0] = "/not/on/this/machine.py"

    arrived = failures.rebuild(record)

    last = traceback.extract_tb(arrived.__traceback__)[-1]
    assert (last.filename, last.line) == ("/not/on/this/machine.py", "return a / b")


def test_sources_from_elsewhere_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracebacks, "_MAX_SOURCES", 5)

    for number in range(20):
        record = failures.describe(raised(below), "worker", "m:f")
        for frame in record["errors"][0]["frames"][1:]:
            frame[0] = f"/elsewhere/{number}.py"
        failures.rebuild(record)

    assert len([name for name in linecache.cache if name.startswith("/elsewhere/")]) <= 5


def test_deep_traceback_is_cut_in_the_middle() -> None:
    def descend(depth: int) -> None:
        if depth == 0:
            raise Plain("bottom")
        descend(depth - 1)

    record = failures.describe(raised(lambda: descend(500)), "worker", "m:f")

    frames = record["errors"][0]["frames"]
    assert len(frames) == tracebacks.MAX_FRAMES + 1
    assert frames[-1][3] == 'raise Plain("bottom")'


def test_exception_that_was_never_raised_shows_the_worker_only() -> None:
    shown = traceback.extract_tb(travel(Plain()).__traceback__)

    assert [(frame.filename, frame.name) for frame in shown] == [("<worker worker>", "m:f")]


def test_frame_can_be_looked_at_like_any_other() -> None:
    arrived = travel(raised(below))

    last = list(traceback.walk_tb(arrived.__traceback__))[-1]
    assert last[0].f_code.co_name == "divide"
    assert last[0].f_code.co_filename == __file__
    assert last[1] == divide.__code__.co_firstlineno + 1


# -- thrown in and come out again ----------------------------------------------------------------


def test_what_was_thrown_in_comes_out_as_itself() -> None:
    thrown = Plain("thrown")
    there = travel(thrown)

    record = failures.describe(there, "worker", "m:f", there)

    assert failures.rebuild(record, thrown) is thrown


def test_what_was_thrown_in_is_the_cause_of_what_comes_out() -> None:
    thrown = Plain("thrown")
    there = travel(thrown)
    outer = KeyError("converted")
    outer.__cause__ = there

    arrived = failures.rebuild(failures.describe(outer, "worker", "m:f", there), thrown)

    assert repr(arrived) == "KeyError('converted')"
    assert arrived.__cause__ is thrown


# -- damage --------------------------------------------------------------------------------------


@given(st.data())
def test_damaged_record_is_an_exception_or_a_value_error(data: st.DataObject) -> None:
    record = failures.describe(ExceptionGroup("g", [raised(below), Plain(1)]), "worker", "m:f")
    junk = st.sampled_from([None, 0, -1, 10**6, "x", "", b"x", [], [1], {}, {"a": 1}, True])
    for _ in range(data.draw(st.integers(1, 3))):
        each = data.draw(st.sampled_from(record["errors"]))
        each[data.draw(st.sampled_from(sorted(each)))] = data.draw(junk)

    try:
        arrived = failures.rebuild(record)
    except ValueError:
        return
    assert isinstance(arrived, BaseException)
    traceback.format_exception(arrived)


def test_record_is_plain_data() -> None:
    record = failures.describe(raised(below), "worker", "m:f")

    assert msgpack.unpackb(msgpack.packb(record)) == record


# -- records that somebody made up -----------------------------------------------------------------


def made_up(**changes: Any) -> dict[str, Any]:
    """Return a record as an attacker may write it."""
    record: dict[str, Any] = {
        "module": "builtins",
        "name": "ValueError",
        "key": "",
        "text": "the text",
        "args": [],
        "attributes": {},
        "notes": [],
        "cause": None,
        "context": None,
        "suppress": False,
        "frames": [],
    }
    return {"errors": [record | changes]}


class Guarded(Exception):
    """An exception with code for an attribute."""

    ran: ClassVar[list[Any]] = []

    @property
    def level(self) -> int:
        return 0

    @level.setter
    def level(self, value: int) -> None:
        self.ran.append(value)


class Instance:
    """Something whose constructor must not be called."""

    def __init__(self, *args: Any) -> None:
        Guarded.ran.append(args)


@pytest.mark.parametrize("name", ["with_traceback", "add_note", "args", "__class__", "__notes__"])
def test_attribute_from_the_wire_replaces_nothing_that_all_exceptions_have(name: str) -> None:
    arrived = failures.rebuild(made_up(attributes={name: Instance}))

    arrived.add_note("works")
    arrived.with_traceback(None)
    assert type(arrived) is ValueError
    assert Guarded.ran == []


def test_attribute_from_the_wire_runs_no_code_of_the_class() -> None:
    record = made_up(module=__name__, name="Guarded", attributes={"level": 7, "other": 8})

    arrived = failures.rebuild(record)

    assert isinstance(arrived, Guarded)
    assert arrived.__dict__ == {"other": 8}
    assert Guarded.ran == []


def test_class_is_sought_without_code_of_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    module = types.ModuleType("lazy_module")
    module.__dict__["__getattr__"] = asked.append
    monkeypatch.setitem(sys.modules, "lazy_module", module)

    arrived = failures.rebuild(made_up(module="lazy_module", name="Anything"))

    assert isinstance(arrived, RemoteError)
    assert asked == []


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("UnicodeDecodeError", ["utf-8", b"x", -(2**40), -(2**40) + 1, "reason"]),
        ("UnicodeEncodeError", ["utf-8", "x", -(2**40), -(2**40) + 1, "reason"]),
        ("UnicodeTranslateError", ["x", -(2**40), -(2**40) + 1, "reason"]),
    ],
)
def test_error_of_text_that_points_outside_of_it_is_not_rebuilt(name: str, args: Any) -> None:
    arrived = failures.rebuild(made_up(name=name, args=args))

    assert isinstance(arrived, RemoteError)
    assert "the text" in str(arrived)


def test_lines_of_sources_from_elsewhere_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracebacks, "_MAX_LINES", 1000)

    for number in range(20):
        failures.rebuild(made_up(frames=[[f"/nowhere/{number}.py", 300, "f", "source"]]))

    kept = [entry[2] for name, entry in linecache.cache.items() if name.startswith("/nowhere/")]
    assert 0 < sum(map(len, kept)) <= 1000
