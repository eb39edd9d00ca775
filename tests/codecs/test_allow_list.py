"""Codecs that pickle, with ``allow=``: what is listed arrives, and what is not is refused."""

from __future__ import annotations

import builtins
import collections
import datetime
import decimal
import fractions
import functools
import pathlib
import pickle
import re
import subprocess
import sys
import uuid
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atasks_ng.codecs import (
    CloudpickleCodec,
    CompressedCodec,
    EncryptedCodec,
    PickleCodec,
    SignedCodec,
)
from atasks_ng.codecs.allow_list import HARMLESS
from atasks_ng.protocol.seals import about_process
from atasks_ng.words.errors import DecodeError, OptionError, SignatureError

from . import listed

KEY, OTHER_KEY = "the key of these tests", "another key of these tests"
NAMESPACE = "test-allow"

BOTH = pytest.mark.parametrize("make", [PickleCodec, CloudpickleCodec])
PROTOCOLS = pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))


# -- honest values -------------------------------------------------------------------------------

PLAIN = [
    None,
    True,
    -(2**100),
    1.5,
    1j,
    "żółw",
    b"\x00\xff",
    bytearray(b"\xff"),
    [1, (2, {3}), frozenset([4])],
    {"a": {1: 2}},
    range(3),
    slice(1, 2),
    ...,
    NotImplemented,
    int,
    KeyError,
]


@PROTOCOLS
def test_plain_values_need_no_names(protocol: int) -> None:
    codec = PickleCodec(NAMESPACE, protocol, allow=[])

    assert codec.decode(codec.encode(PLAIN)) == PLAIN


@PROTOCOLS
def test_builtin_exceptions_need_no_names(protocol: int) -> None:
    codec = PickleCodec(NAMESPACE, protocol, allow=[])
    group = ExceptionGroup("both", [KeyError("k"), OSError(2, "gone", "/nowhere")])

    assert repr(codec.decode(codec.encode(group))) == repr(group)


WARSAW = zoneinfo.ZoneInfo("Europe/Warsaw")
HONEST = [
    (datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC), ["datetime"]),
    (datetime.datetime(2024, 1, 2, tzinfo=WARSAW), ["datetime.datetime", "zoneinfo.ZoneInfo"]),
    (datetime.timedelta(1), ["datetime.timedelta"]),
    (decimal.Decimal("0.10"), ["decimal.Decimal"]),
    (fractions.Fraction(1, 3), ["fractions.Fraction"]),
    (uuid.UUID(int=7), ["uuid.UUID"]),
    (pathlib.PurePosixPath("/a"), ["pathlib"]),
    (collections.OrderedDict(a=1), ["collections.OrderedDict"]),
    (collections.Counter("aab"), ["collections.Counter"]),
    (collections.deque([1], maxlen=3), ["collections.deque"]),
    (collections.defaultdict(list, a=[1]), ["collections.defaultdict"]),
    (listed.Colour.RED, [listed.__name__]),
    (listed.Order.Depth.LOW | listed.Order.Depth.HIGH, [listed.__name__]),
    (listed.Order("tea", [decimal.Decimal(3)]), [f"{listed.__name__}.Order", "decimal.Decimal"]),
    (listed.Order.Line(), [f"{listed.__name__}.Order"]),
    (listed.double, [f"{listed.__name__}.double"]),
    (listed.double, [listed.__name__]),
    (listed.cached, [listed.__name__]),
    (listed.Order.total, [f"{listed.__name__}.Order"]),
    (listed.NOTHING, [f"{listed.__name__}.NOTHING"]),
    (listed.half_done, ["functools.partial", "posix.system", "nt.system"]),
]
IDS = [f"{type(value).__name__}-{allow[0]}" for value, allow in HONEST]


@PROTOCOLS
@pytest.mark.parametrize(("value", "allow"), HONEST, ids=IDS)
def test_value_whose_names_are_listed_arrives(value: Any, allow: list[str], protocol: int) -> None:
    codec = PickleCodec(NAMESPACE, protocol, allow=allow)

    arrived = codec.decode(codec.encode([value, value]))[0]

    assert type(arrived) is type(value)
    if type(value) is functools.partial:
        assert (arrived.func, arrived.args) == (value.func, value.args)
    else:
        assert arrived == value


@BOTH
@pytest.mark.parametrize(("value", "allow"), HONEST, ids=IDS)
def test_value_is_refused_where_one_of_its_names_is_missing(
    make: Any, value: Any, allow: list[str]
) -> None:
    content = make(NAMESPACE).encode(value)
    needed = [name for name in allow if name != "nt.system"]

    assert make(NAMESPACE, allow=allow).decode(content) is not None
    for name in needed:
        with pytest.raises(DecodeError, match=rf"this pickle .* {make.__name__}\(allow=\.\.\.\)"):
            make(NAMESPACE, allow=[other for other in needed if other != name]).decode(content)


@PROTOCOLS
def test_object_that_a_class_method_makes_arrives(protocol: int) -> None:
    codec = PickleCodec(NAMESPACE, protocol, allow=[f"{listed.__name__}.Order"])

    assert codec.decode(codec.encode(listed.Order("of", [decimal.Decimal(1)]))) == listed.Order(
        "of", []
    )


def test_exception_of_a_listed_module_arrives() -> None:
    codec = PickleCodec(NAMESPACE, allow=[listed.__name__])

    assert repr(codec.decode(codec.encode(listed.Refusal("no", 1)))) == "Refusal('no', 1)"


NUMPY = [
    "numpy.ndarray",
    "numpy.dtype",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.numeric._frombuffer",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy.core.numeric._frombuffer",
]


@PROTOCOLS
@pytest.mark.parametrize("allow", [NUMPY, ["numpy"]])
def test_numpy_arrays_and_scalars_arrive(protocol: int, allow: list[str]) -> None:
    numpy = pytest.importorskip("numpy")
    codec = PickleCodec(NAMESPACE, protocol, allow=allow)

    for dtype in ("f8", "i4", "U3", "M8[s]", [("a", "i4"), ("b", "S2")], "O"):
        array = numpy.zeros((2, 3), dtype=dtype)
        for each in (array, numpy.asfortranarray(array), array[0, 0]):
            arrived = codec.decode(codec.encode(each))
            assert type(arrived) is type(each)
            assert numpy.array_equal(arrived, each)


# -- what is harmless ----------------------------------------------------------------------------


def test_harmless_names_are_types_of_values_and_exceptions() -> None:
    found = {name: getattr(builtins, name.removeprefix("builtins.")) for name in HARMLESS}
    exceptions = {
        name
        for name, value in found.items()
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    values = {name.removeprefix("builtins.") for name in HARMLESS - exceptions}

    assert " ".join(sorted(values)) == (
        "Ellipsis NotImplemented bool bytearray bytes complex dict float frozenset int list object "
        "range set slice str tuple"
    )
    assert "builtins.UnicodeDecodeError" not in exceptions
    assert len(exceptions) > 60


# -- what the manual says ------------------------------------------------------------------------

MANUAL = (Path(__file__).parents[2] / "docs" / "guide" / "codecs.rst").read_text()
ROWS = {
    "dates and times": [datetime.datetime(2024, 1, 2, tzinfo=WARSAW), datetime.date(2024, 1, 2)],
    "numbers": [decimal.Decimal(1), fractions.Fraction(1, 2)],
    "collections": [
        collections.OrderedDict(a=1),
        collections.Counter("a"),
        collections.deque([1]),
        collections.defaultdict(int),
    ],
    "identities and paths": [uuid.UUID(int=1), pathlib.Path("/a"), pathlib.PureWindowsPath("c:/")],
}


def names_for(row: str) -> list[str]:
    """Return what the manual says to list for some types."""
    found = re.search(rf"   \* - {row}\n((?:     .*\n)+)", MANUAL)
    assert found is not None
    return re.findall(r"``([\w.]+)``", found[1])


@BOTH
@pytest.mark.parametrize("row", ROWS)
def test_what_the_manual_lists_is_enough_and_needed(make: Any, row: str) -> None:
    codec = make(NAMESPACE, allow=names_for(row))

    assert codec.decode(codec.encode(ROWS[row])) == ROWS[row]
    for name in names_for(row):
        fewer = make(NAMESPACE, allow=[other for other in names_for(row) if other != name])
        with pytest.raises(DecodeError, match="does not list it"):
            fewer.decode(codec.encode(ROWS[row]))


def test_manual_lists_what_numpy_needs() -> None:
    two = names_for("arrays and scalars of numpy 2")

    assert set(two) | {name.replace("_core", "core") for name in two} == set(NUMPY)


def test_manual_says_what_is_harmless() -> None:
    paragraph = MANUAL.partition("Never listed need be")[2].partition("\n\n")[0]
    harmless, _, harmful = paragraph.partition("So what")
    values, _, errors = harmless.partition("and the exceptions, but for")

    def named(text: str) -> set[str]:
        return {f"builtins.{name}" for name in re.findall(r"``(\w+)``", text)} & {
            f"builtins.{name}" for name in vars(builtins)
        }

    assert len(named(values)) == 17
    assert named(values) <= HARMLESS
    assert named(errors) == {
        f"builtins.{name}"
        for name, value in vars(builtins).items()
        if isinstance(value, type)
        and issubclass(value, BaseException)
        and f"builtins.{name}" not in HARMLESS
    }
    assert len(named(harmful)) == 6
    assert not named(harmful) & HARMLESS


# -- cloudpickle ---------------------------------------------------------------------------------


def test_functions_by_value_need_cloudpickle_on_the_list() -> None:
    content = CloudpickleCodec(NAMESPACE).encode(lambda x: x + 1)

    with pytest.raises(
        DecodeError, match="as code; let both sides import them instead, or add 'cl"
    ):
        CloudpickleCodec(NAMESPACE, allow=[listed.__name__, "decimal"]).decode(content)

    assert CloudpickleCodec(NAMESPACE, allow=["cloudpickle"]).decode(content)(1) == 2


def test_classes_by_value_need_builtins_type_as_well() -> None:
    class Local:
        x = 1

    content = CloudpickleCodec(NAMESPACE).encode(Local)

    with pytest.raises(DecodeError, match=r"names 'builtins\.type'"):
        CloudpickleCodec(NAMESPACE, allow=["cloudpickle"]).decode(content)

    codec = CloudpickleCodec(NAMESPACE, allow=["cloudpickle", "builtins.type"])
    assert codec.decode(content).x == 1


def test_functions_by_name_do_not() -> None:
    codec = CloudpickleCodec(NAMESPACE, allow=[f"{listed.double.__module__}.double"])

    assert codec.decode(codec.encode(listed.double)) is listed.double


# -- options -------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("allow", "says"),
    [
        ("decimal", r"\(allow=\.\.\.\) wants a list of names.*not 'decimal'"),
        (5, "wants a list of names"),
        ([""], "lists ''"),
        (["shop.*"], r"lists 'shop\.\*': give names of modules"),
        (["shop:Order"], "lists 'shop:Order'"),
        ([".models"], "lists"),
        (["models."], "lists"),
        ([listed.Order], "lists <class"),
        ([["decimal"]], "lists"),
        (["decimal", "builtins"], r"lists 'builtins', and with it eval\(\)"),
    ],
)
def test_list_that_is_none_is_refused(make: Any, allow: Any, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        make(NAMESPACE, allow=allow)


@BOTH
def test_list_may_be_any_iterable_and_is_taken_once(make: Any) -> None:
    names = ["decimal"]
    codec = make(NAMESPACE, allow=(name for name in names))
    names.append("subprocess")
    content = make(NAMESPACE).encode([decimal.Decimal(1)] * 2)

    assert codec.decode(content) == codec.decode(content) == [1, 1]
    with pytest.raises(DecodeError):
        codec.decode(make(NAMESPACE).encode(subprocess.Popen))


def test_options_of_pickle_hold_with_a_list() -> None:
    codec = PickleCodec(NAMESPACE, 2, False, "bytes", "replace", allow=[])

    assert codec.decode(b"U\x02a\xff.") == b"a\xff"


@pytest.mark.parametrize("content", [b"", b"x", b"\x80\x04", b"cdecimal\nx\n.", b"\x80\xff."])
def test_what_is_no_pickle_is_refused_with_a_list(content: bytes) -> None:
    with pytest.raises(DecodeError, match="cannot be unpickled") as caught:
        PickleCodec(NAMESPACE, allow=["decimal"]).decode(content)

    assert caught.value.__cause__ is not None


def test_audit_hooks_hear_of_names() -> None:
    program = (
        "import sys; heard = []; sys.addaudithook(lambda *args: heard.append(args))\n"
        "from atasks_ng.codecs import PickleCodec\n"
        "PickleCodec(allow=['decimal']).decode(b'cdecimal\\nDecimal\\n.')\n"
        "print(('pickle.find_class', ('decimal', 'Decimal')) in heard)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert done.stdout == "True\n"


# -- with signatures -----------------------------------------------------------------------------

ABOUT = about_process("reply.there")
WRAPPED: list[Callable[[Any], Any]] = [
    lambda key: PickleCodec(NAMESPACE, key=key, allow=["decimal"]),
    lambda key: CloudpickleCodec(NAMESPACE, key=key, allow=["decimal"]),
    lambda key: SignedCodec(PickleCodec(NAMESPACE, allow=["decimal"]), key),
    lambda key: CompressedCodec(PickleCodec(NAMESPACE, key=key, allow=["decimal"])),
]


@pytest.mark.parametrize("make", WRAPPED)
def test_list_changes_nothing_about_signatures_and_their_keys(make: Callable[[Any], Any]) -> None:
    old, both, new = (make(keys) for keys in ([OTHER_KEY], [KEY, OTHER_KEY], [KEY]))
    seals = [codec.seal(NAMESPACE, codec.name) for codec in (old, both, new)]

    assert seals[1].open(seals[0].seal(b"x", ABOUT), ABOUT) == b"x"
    assert seals[2].open(seals[1].seal(b"x", ABOUT), ABOUT) == b"x"
    with pytest.raises(SignatureError):
        seals[2].open(seals[0].seal(b"x", ABOUT), ABOUT)


@pytest.mark.parametrize("make", WRAPPED)
def test_list_holds_inside_of_other_codecs(make: Callable[[Any], Any]) -> None:
    codec = make([KEY])

    assert codec.decode(codec.encode([decimal.Decimal(1)])) == [1]
    with pytest.raises(DecodeError, match=r"uuid\.UUID"):
        codec.decode(codec.encode(uuid.UUID(int=1)))


def test_list_holds_inside_of_encryption() -> None:
    pytest.importorskip("cryptography")
    codec = EncryptedCodec(PickleCodec(NAMESPACE, allow=["decimal"]), KEY)

    assert codec.decode(codec.encode(decimal.Decimal(1))) == 1
    with pytest.raises(DecodeError, match=r"uuid\.UUID"):
        codec.decode(codec.encode(uuid.UUID(int=1)))
