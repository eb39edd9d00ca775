"""numpy arrays and scalars under the default codec."""

from __future__ import annotations

import pytest

from atasks_ng.codecs import MsgpackCodec
from atasks_ng.words.errors import DecodeError, EncodeError

np = pytest.importorskip("numpy")
codec = MsgpackCodec("test-arrays")


def there_and_back(value):
    return codec.decode(codec.encode(value))


ARRAYS = [
    np.arange(6),
    np.arange(6.0).reshape(2, 3),
    np.arange(24, dtype="i2").reshape(2, 3, 4),
    np.array([], dtype="f4"),
    np.empty((0, 3)),
    np.array(5.5),
    np.array([True, False]),
    np.array([1 + 2j]),
    np.array(["a", "bcž"]),
    np.array([b"a", b"bc"]),
    np.array(["2024-01-01", "NaT"], dtype="M8[D]"),
    np.array([1, 2], dtype="m8[ns]"),
    np.array([1, 2], dtype=">i4"),
    np.array([(1, 2.5, "x")], dtype=[("a", "i4"), ("b", "f8"), ("c", "U3")]),
    np.zeros(2, dtype=[("a", "i4", (2, 2)), ("b", [("c", "u1")])]),
    np.zeros(2, dtype=np.dtype([("a", "u1"), ("b", "f8")], align=True)),
    np.float16([1.5]),
]


@pytest.mark.parametrize("array", ARRAYS, ids=str)
def test_array_arrives_as_itself(array):
    arrived = there_and_back(array)

    assert type(arrived) is np.ndarray
    assert arrived.dtype == array.dtype
    assert arrived.shape == array.shape
    assert arrived.tobytes() == array.tobytes()
    assert arrived.flags.writeable


def test_array_arrives_inside_other_values():
    call = (([np.arange(3)], bytearray(b"x")), {"k": (np.float32(1.5), b"y")})

    (arrays, buffer), kwargs = there_and_back(call)

    assert arrays[0].tolist() == [0, 1, 2]
    assert type(buffer) is bytearray
    assert kwargs == {"k": (np.float32(1.5), b"y")}
    assert type(kwargs["k"][0]) is np.float32


def test_array_in_another_order_arrives_in_that_order():
    array = np.arange(6.0).reshape(2, 3).T

    arrived = there_and_back(array)

    assert arrived.tolist() == array.tolist()
    assert arrived.flags.f_contiguous


def test_array_with_gaps_arrives():
    array = np.arange(20).reshape(4, 5)[::2, 1::2]

    assert there_and_back(array).tolist() == array.tolist()


def test_array_that_is_read_only_arrives_read_only():
    array = np.arange(3)
    array.flags.writeable = False

    assert not there_and_back(array).flags.writeable


@pytest.mark.parametrize(
    "scalar",
    [
        np.float64(-0.0),
        np.float32(1.5),
        np.int8(-3),
        np.uint64(2**64 - 1),
        np.bool_(True),
        np.complex64(1 - 2j),
        np.str_("ž"),
        np.str_(""),
        np.bytes_(b"ab"),
        np.datetime64("2024-01-01T00:00:01", "ms"),
        np.datetime64("NaT", "D"),
        np.timedelta64(5, "h"),
        np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")])[0],
    ],
    ids=repr,
)
def test_scalar_arrives_as_itself(scalar):
    arrived = there_and_back(scalar)

    assert type(arrived) is type(scalar)
    assert arrived.dtype == scalar.dtype
    assert arrived.tobytes() == scalar.tobytes()


@pytest.mark.parametrize(
    "value",
    [
        np.array([object()]),
        np.zeros(1, dtype=[("a", "O")]),
        np.ma.array([1]),
        np.rec.array([(1,)], dtype=[("a", "i4")]),
        np.dtype("i4"),
    ],
    ids=["objects", "objects in fields", "masked", "records", "dtype"],
)
def test_what_is_not_plain_numbers_cannot_be_encoded(value):
    with pytest.raises(EncodeError, match=r"^args\[0\]\[1\]: "):
        codec.encode((([1, value],), {}))


def hostile(array, *changes):
    content = codec.encode(array)
    for old, new in changes:
        assert old in content
        content = content.replace(old, new)
    return content


@pytest.mark.parametrize(
    "content",
    [
        hostile(np.arange(4, dtype="<i8"), (b"<i8", b"|O8")),
        hostile(np.arange(4, dtype="<i8"), (b"<i8", b"<i4")),
        hostile(np.arange(4, dtype="<i8"), (b"<i8", b"|V0")),
        hostile(np.arange(4, dtype="<i8"), (b"<i8", b"???")),
        hostile(np.arange(4, dtype="<i8"), (b"\x91\x04\xa1C", b"\x91\x05\xa1C")),
        hostile(np.arange(4, dtype="<i8"), (b"\x91\x04\xa1C", b"\x91\xfc\xa1C")),
        hostile(np.arange(4, dtype="<i8"), (b"\x91\x04\xa1C", b"\x91\x04\xa1A")),
        hostile(np.float64(1), (b"<f8", b"<f4")),
    ],
    ids=["objects", "short", "empty", "unknown", "long", "negative", "order", "scalar"],
)
def test_array_that_does_not_match_its_bytes_is_refused(content):
    with pytest.raises(DecodeError):
        codec.decode(content)


def test_array_where_numpy_is_not_imported_is_refused(monkeypatch):
    content = codec.encode(np.arange(3))
    monkeypatch.delitem(__import__("sys").modules, "numpy")

    with pytest.raises(DecodeError, match="import it here, too"):
        codec.decode(content)
