"""JsonCodec carries what JSON carries, and nothing that it would change."""

from __future__ import annotations

import collections
import datetime
import enum
import json
import math

import pytest

from atasks_ng.codecs import JsonCodec
from atasks_ng.words.errors import DecodeError, EncodeError

codec = JsonCodec("test-json")


class Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(2**80),
        1.5,
        -0.0,
        5e-324,
        1e308,
        "",
        "ž🙂\0",
        "\ud800",
        [],
        {},
        [1, [2.0, {"k": None, "": [False]}]],
        {"b": 1, "a": 2},
    ],
    ids=ascii,
)
def test_value_arrives_as_itself(value):
    arrived = codec.decode(codec.encode(value))

    assert repr(arrived) == repr(value)


def test_message_is_json_for_others():
    assert json.loads(codec.encode(((1, "ž"), {"k": [None]}))) == [[1, "ž"], {"k": [None]}]
    assert codec.decode(b' {"k": "\xc5\xbe"} ') == {"k": "ž"}


def test_tuples_arrive_as_lists():
    assert codec.decode(codec.encode((1, (2, [()])))) == [1, [2, [[]]]]


def test_arguments_can_be_used_for_a_call():
    args, kwargs = codec.decode(codec.encode(((1, "abc"), {"k": [1]})))

    assert (lambda *args, **kwargs: (args, kwargs))(*args, **kwargs) == ((1, "abc"), {"k": [1]})


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (((1, {"k": {2: 3}}), {}), r"args[1]['k']: a dict with keys that are no strings"),
        (((), {"x": [math.nan]}), "kwargs['x'][0]: JSON has no nan"),
        (-math.inf, "value: JSON has no -inf"),
        ({None: 1}, "value: a dict with keys"),
        ({True: 1}, "value: a dict with keys"),
        (b"x", "value: a value of type bytes cannot be encoded as JSON: convert it"),
        ([{1}], "value[0]: a value of type set"),
        (
            (datetime.date(2024, 1, 1), [1]),
            "value[0]: a value of type datetime.date cannot be encoded as JSON",
        ),
        ([Level.LOW], "value[0]: a value of type "),
        ([type("Text", (str,), {})("x")], "value[0]: a value of type "),
        ({"k": collections.OrderedDict()}, "value['k']: a value of type collections.OrderedDict"),
        (collections.namedtuple("P", "x")(1), "value: a value of type "),
        pytest.param(
            10**5000, "value: a value that cannot be encoded as JSON (ValueError", id="long"
        ),
    ],
)
def test_what_json_would_change_is_refused(value, sentence):
    with pytest.raises(EncodeError) as caught:
        codec.encode(value)

    assert str(caught.value).startswith(sentence)


def test_value_that_contains_itself_is_refused():
    loop = []
    loop.append(loop)

    with pytest.raises(EncodeError, match=r"^value\[0\]: a value that contains itself"):
        codec.encode(loop)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[",
        b"NaN",
        b"[-Infinity]",
        b"\xff",
        b'"\xff"',
        b"[1] 2",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 10_000,
        "[1]".encode("utf-16"),
    ],
    ids=lambda content: repr(content[:8]),
)
def test_what_is_no_json_is_refused(content):
    with pytest.raises(DecodeError, match="not JSON"):
        codec.decode(content)


def test_coroutine_that_was_not_awaited_is_told_so():
    async def forgotten():
        pass

    coroutine = forgotten()

    with pytest.raises(EncodeError, match="await it first"):
        codec.encode([coroutine])

    coroutine.close()
