"""Messages are measured before they are built; the two ways of measuring say the same."""

from __future__ import annotations

import random

import msgpack
import pytest

from atasks_ng.codecs.forms import bounds

LONG = 70 * 1024

VALUES = [
    b"x" * LONG,
    "x" * LONG,
    "ž" * LONG,
    msgpack.ExtType(5, b"x" * LONG),
    [b"x" * LONG, 1, -1, 2**63, -(2**63), 1.5, None, True, "short", b"b", "y" * 40, "z" * 300],
    [200, 60_000, 2**31, -100, -30_000, -(2**31), b"x" * LONG],
    [msgpack.ExtType(1, b"x" * size) for size in (1, 2, 3, 4, 8, 16, 17, 300, LONG)],
    {"k": b"x" * LONG, "l": {"m": [[], {}, [[b"y" * 300]]]}},
    [{str(number): number for number in range(20)}, list(range(20)), b"x" * LONG],
    [b"x" * LONG, list(range(1000))],
    [[0] * 70_000, b"x" * LONG],
    {str(number): b"x" for number in range(70_000)},
]


@pytest.fixture
def slowly(monkeypatch):
    """Return what measures without counting."""

    def measure(content, levels):
        with monkeypatch.context() as patch:
            patch.setattr(bounds, "_LARGE_BYTES", 10**9)
            return bounds.skip(content, levels)

    return measure


def end(measure, content):
    try:
        return measure(content, 64)
    except msgpack.StackError:
        return "too deep"
    except Exception as exc:
        return type(exc)


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_message_is_measured_whole(value, slowly):
    content = msgpack.packb(value)

    assert bounds.skip(content, 64) == len(content)
    assert slowly(content, 64) == len(content)
    assert bounds.skip(memoryview(content + b"more"), 64) == len(content)


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_message_that_is_cut_or_changed_is_measured_alike(value, slowly):
    content = msgpack.packb(value)
    dice = random.Random(len(content))

    for _ in range(30):
        changed = bytearray(content)
        changed[dice.randrange(40)] = dice.randrange(256)
        assert end(bounds.skip, bytes(changed)) == end(slowly, bytes(changed))
        cut = content[: dice.randrange(LONG - 2000, len(content))]
        assert end(bounds.skip, cut) == end(slowly, cut)


def test_message_with_few_values_is_not_copied(monkeypatch):
    monkeypatch.setattr(bounds, "Unpacker", None)

    content = msgpack.packb([[b"x" * LONG], {"k": 1}])

    assert bounds.skip(content, 64) == len(content)
