"""The manual's tables of what travels and what does not are what the codec does."""

from __future__ import annotations

import collections
import dataclasses
import re
import sys
import threading
import zoneinfo
from pathlib import Path
from typing import Any

import msgpack
import pytest

from atasks_ng.codecs import MsgpackCodec, classes
from atasks_ng.codecs.advice import ADVICE
from atasks_ng.codecs.forms import wire
from atasks_ng.codecs.forms.table import leaves, marks
from atasks_ng.words.errors import EncodeError

from .samples import SAMPLES, numpy, same

codec = MsgpackCodec("test-table")

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "codecs.rst"


def rows_of(title: str) -> list[list[str]]:
    """Return the cells of a list table of the page, without its head."""
    table = PAGE.read_text("utf-8").partition(f".. list-table:: {title}\n")[2]
    table = re.split(r"\n(?=\S)", table, maxsplit=1)[0]
    rows = table.split("\n   * - ")[2:]
    return [[cell.strip() for cell in re.split(r"\n     -", row)] for row in rows]


TYPES = {row[0].strip("`"): row[1] for row in rows_of("Types that travel")}
REFUSED = [row[0].strip("`") for row in rows_of("What does not travel")]


@dataclasses.dataclass
class Undeclared:
    x: int = 0


class OrderedSet(set[Any]):
    pass


class Opaque:
    pass


def a_loop() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def a_file_of_a_zone() -> zoneinfo.ZoneInfo:
    with (Path(str(zone_folder())) / "Rome").open("rb") as file:
        return zoneinfo.ZoneInfo.from_file(file)


def zone_folder() -> Path:
    folders = [Path(folder) / "Europe" for folder in zoneinfo.TZPATH]
    found = [folder for folder in folders if (folder / "Rome").exists()]
    if not found:
        pytest.skip("this machine has no time zone data of its own")
    return found[0]


class Pending:
    def __await__(self) -> Any:
        yield


NOT_CARRIED = {
    "memoryview": lambda: memoryview(b"x"),
    "subclasses": OrderedSet,
    "coroutines": Pending,
    "functions": lambda: rows_of,
    "generators": lambda: (each for each in ()),
    "handles": threading.Lock,
    "modules": lambda: sys,
    "recursion": a_loop,
    "objects": Opaque,
    "undeclared": Undeclared,
    "factories": lambda: collections.defaultdict(lambda: 1),
    "object arrays": lambda: numpy.array([{}, None]),
    "zones without a key": a_file_of_a_zone,
}


def codes_of(value: Any) -> set[str]:
    """Return the extension codes in the message for a value; ``msgpack`` if there are none."""
    content = codec.encode(value)
    found: set[str] = set()

    def note(code: int, data: bytes) -> None:
        found.add(hex(code))

    body = content[1:] if content[0] == 0xC1 else content
    if body[0] == 0xC6:  # the values, and behind them the bytes of arrays
        body = body[5 : 5 + int.from_bytes(body[1:5], "big")]
    options: dict[str, Any] = {
        "strict_map_key": False,
        "object_pairs_hook": list,
        "unicode_errors": "surrogatepass",
    }
    msgpack.unpackb(body, ext_hook=note, **options)
    return found or {"msgpack"}


def test_table_has_a_row_for_each_sample():
    assert list(TYPES) == list(SAMPLES)
    assert list(REFUSED) == list(NOT_CARRIED)


def test_table_names_every_built_in_type():
    named = {type(sample) for row in SAMPLES.values() for sample in row}

    # Those of msgpack itself arrive as themselves, and are no types that one would use.
    missing = {*classes.forms, *wire.NATIVE} - named - {msgpack.ExtType, msgpack.Timestamp}

    assert {cls for cls in missing if classes.recipe_of(cls) is None} == set()


def test_table_names_every_code():
    named = {code for cell in TYPES.values() for code in cell.split(", ")} - {"msgpack"}

    assert named == {hex(code) for code in (*leaves, *marks)}


@pytest.mark.parametrize("name", SAMPLES)
def test_type_of_the_table_travels_as_the_table_says(name):
    found: set[str] = set()
    for value in SAMPLES[name]:
        assert same(codec.decode(codec.encode(value)), value)
        found |= codes_of(value)

    # Samples of classes with fields hold tuples and sets.
    codes = set(TYPES[name].split(", "))
    assert codes <= found <= codes | {"0x40", "0x41"}


@pytest.mark.parametrize("name", NOT_CARRIED)
def test_what_the_table_excludes_is_refused(name):
    value = NOT_CARRIED[name]()

    with pytest.raises(EncodeError, match=r"^value"):
        codec.encode(value)


@pytest.mark.parametrize("name", ADVICE)
def test_error_gives_the_advice_of_the_table(name):
    with pytest.raises(EncodeError) as caught:
        codec.encode(NOT_CARRIED[name]())

    assert str(caught.value).endswith(f"cannot be encoded: {ADVICE[name]}")
    cell = next(row[1] for row in rows_of("What does not travel") if row[0].strip("`") == name)
    assert ADVICE[name] in " ".join(cell.replace("`", "").split())


def test_shared_references_arrive_as_two_objects():
    part = [1]

    one, other = codec.decode(codec.encode([part, part]))

    assert one == other
    assert one is not other
