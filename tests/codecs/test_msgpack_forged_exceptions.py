"""Records of exceptions that others made up: nothing of a class runs, and little is spent."""

from __future__ import annotations

import sys
import time
import types
from typing import Any

import msgpack
import pytest

from atasks_ng.codecs import MsgpackCodec
from atasks_ng.codecs.forms import wire
from atasks_ng.words.errors import DecodeError, RemoteError

codec = MsgpackCodec("test-forged-exceptions")


class Closing(Exception):
    def __del__(self) -> None:
        pass


def forged(*records: Any, root: Any = 0) -> bytes:
    defaults = {"class": "builtins:ValueError", "summary": ["ValueError", ""]}
    parts = [{**defaults, **each} if isinstance(each, dict) else each for each in records]
    body = msgpack.packb([[msgpack.ExtType(wire.ERROR, b""), root, *parts]], strict_types=True)
    return b"\xc1" + body


def test_forged_record_is_made_as_ours_are():
    assert repr(codec.decode(forged({"args": [5]}))) == "ValueError(5)"


DECODE_ERROR = {"class": "builtins:UnicodeDecodeError"}
GROUP = {"class": "builtins:ExceptionGroup"}


@pytest.mark.parametrize(
    "content",
    [
        forged(),
        forged({}, root=1),
        forged({}, root=-1),
        forged({}, root="0"),
        forged(5),
        forged({"__cause__": 7}),
        forged({"__cause__": True}),
        forged({"known args": {0: 0}, "args": [None]}),
        forged({"members": [0]}),
        forged({}, {"members": [-1]}, root=1),
        forged(GROUP),
        forged({"attributes": {"with_traceback": 5}}),
        forged({"attributes": {"__class__": 5}}),
        forged({"attributes": {5: 5}}),
        forged({"class": 5}),
        forged({"summary": 5, "class": "no:where"}),
        forged({**DECODE_ERROR, "attributes": {"object": b"x", "start": -(2**40)}}),
        forged({**DECODE_ERROR, "attributes": {"object": "x", "start": 0}}),
        forged({"class": "builtins:SystemExit"}, {"members": [0], **GROUP}),
    ],
    ids=range(19),
)  # fmt: skip
def test_record_that_does_not_fit_is_refused(content):
    with pytest.raises(DecodeError):
        codec.decode(content)


@pytest.mark.parametrize("key", ["known args", "members"])
def test_exception_whose_repr_would_never_end_is_refused(key):
    records: list[Any] = [{}]
    for number in range(60):
        if key == "members":
            records.append({**GROUP, "members": [number, number]})
        else:
            records.append({"args": [None] * 2, "known args": {0: number, 1: number}})

    with pytest.raises(DecodeError, match="made of more than"):
        codec.decode(forged(*records, root=60))


@pytest.mark.parametrize(
    "name",
    ["os:system", "builtins:eval", "builtins:int", "this:Error", "a" * 1000, ":", "builtins:", ""],
)
def test_name_that_is_none_of_an_exception_becomes_a_remote_error(name):
    assert "this" not in sys.modules

    arrived = codec.decode(forged({"class": name, "summary": ["a.B", "text"]}))

    assert repr(arrived) == "RemoteError('a.B', 'text')"
    assert "this" not in sys.modules


def test_module_that_loads_lazily_is_not_asked(monkeypatch):
    asked = []

    class Lazy(types.ModuleType):
        @property
        def __dict__(self) -> Any:
            asked.append("__dict__")
            return {}

        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            raise AttributeError(name)

    monkeypatch.setitem(sys.modules, "lazy_module", Lazy("lazy_module"))

    arrived = codec.decode(forged({"class": "lazy_module:Error"}))

    assert type(arrived) is RemoteError
    assert asked == []


def test_class_with_a_finalizer_is_not_made_for_others():
    content = codec.encode(Closing()).replace(b"key", b"yek")

    assert type(codec.decode(content)) is RemoteError


def test_many_records_cost_little():
    records = [{"class": f"{__name__}:f.<locals>.E{number}"} for number in range(5000)]
    started = time.process_time()

    codec.decode(forged(*records))

    assert time.process_time() - started < 1
