"""numpy arrays and scalars under the default codec."""

from __future__ import annotations

import struct
import threading
import tracemalloc

import pytest

from atasks_ng.codecs import MsgpackCodec, register
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


def numbered(*numbers):
    return [np.full(number, number % 256, dtype="u1") for number in numbers]


@pytest.mark.parametrize(
    "beside",
    [None, b"bytes", bytearray(b"x"), "\ud800", {1: 2}, {(1, 2): 3}, {"k": {4}}, "x" * 70_000],
    ids=["nothing", "bytes", "buffer", "surrogate", "int key", "tuple key", "set", "long text"],
)
def test_arrays_among_other_values_arrive_in_their_places(beside):
    one, two, three, four = numbered(1, 2, 3, 70_000)

    arrived = there_and_back({"a": (one, [beside, two]), "b": [{"c": three}, (four,)]})

    assert repr(arrived["a"][1][0]) == repr(beside)
    assert arrived["a"][0].tolist() == [1]
    assert arrived["a"][1][1].tolist() == [2, 2]
    assert arrived["b"][0]["c"].tolist() == [3, 3, 3]
    assert arrived["b"][1][0].tobytes() == b"\x70" * 70_000


@pytest.mark.parametrize("is_writable", [True, False])
def test_bytes_of_an_array_are_copied_once_each_way(is_writable):
    array = np.ones(4 * 1024 * 1024, dtype="u1")
    array.flags.writeable = is_writable
    there_and_back(array[:10])

    tracemalloc.start()
    content = codec.encode(array)
    _, encoding = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    arrived = codec.decode(content)
    _, both = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert arrived.nbytes == array.nbytes
    assert encoding < 1.1 * array.nbytes
    assert both < 2.1 * array.nbytes


@pytest.mark.parametrize("is_writable", [True, False])
def test_array_keeps_nothing_of_its_message(is_writable):
    array = np.arange(3, dtype="u1")
    array.flags.writeable = is_writable
    content = bytearray(codec.encode(array))

    arrived = codec.decode(content)

    content.clear()  # BufferError, had something a view of it
    assert arrived.tolist() == [0, 1, 2]


def test_form_that_encodes_an_array_itself_disturbs_no_other():
    @register(
        name="test:nested-array",
        encode=lambda nested: codec.encode(numbered(5, 6)),
        decode=codec.decode,
    )
    class Nested:
        pass

    (one, inner, two) = there_and_back([*numbered(1), Nested(), *numbered(2)])

    assert one.tolist() == [1]
    assert two.tolist() == [2, 2]
    assert [len(each) for each in inner] == [5, 6]


def test_array_of_a_value_that_was_refused_is_forgotten():
    with pytest.raises(EncodeError):
        codec.encode([*numbered(7), threading.Lock()])

    assert there_and_back(numbered(3))[0].tolist() == [3, 3, 3]


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
        hostile(np.arange(4, dtype="<i8"), (b"C\xc3\x20", b"C\xc3\x21")),
        hostile(np.arange(4, dtype="<i8"), (b"C\xc3\x20", b"C\xc3\x1f")),
        hostile(np.arange(4, dtype="<i8"), (b"C\xc3\x20", b"C\xc3\xe0")),
        hostile(np.arange(1, dtype="u1"), (b"C\xc3\x01", b"C\xc3\xc3")),
        hostile(np.arange(1, dtype="u1"), (b"C\xc3\x01", b"C\xc3\xa0")),
        hostile(np.float64(1), (b"<f8", b"<f4")),
    ],
    ids=[
        "objects",
        "short",
        "empty",
        "unknown",
        "long",
        "negative",
        "order",
        "more bytes",
        "fewer bytes",
        "negative bytes",
        "true bytes",
        "text for bytes",
        "scalar",
    ],
)
def test_array_that_does_not_match_its_bytes_is_refused(content):
    with pytest.raises(DecodeError):
        codec.decode(content)


TWO = [np.arange(3, dtype="u1"), {1: np.arange(2, dtype="<i4")}]


def test_message_with_arrays_that_is_cut_short_is_refused():
    content = codec.encode(TWO)

    for length in range(len(content)):
        with pytest.raises(DecodeError):
            codec.decode(content[:length])


@pytest.mark.parametrize("rest", [b"\x00", codec.encode(TWO)], ids=["byte", "message"])
def test_message_with_arrays_and_something_behind_it_is_refused(rest):
    with pytest.raises(DecodeError, match="has something behind it"):
        codec.decode(codec.encode(TWO) + rest)


@pytest.mark.parametrize("change", [-7, -1, 1, 11, 12, 2**31])
def test_message_whose_values_have_another_size_is_refused(change):
    content = bytearray(codec.encode(TWO))
    (size,) = struct.unpack_from(">I", content, 2)
    struct.pack_into(">I", content, 2, size + change)

    with pytest.raises(DecodeError):
        codec.decode(bytes(content))


def test_array_of_a_negative_number_of_bytes_is_refused():
    # Counted from the end, they would be the three that it has.
    content = hostile(TWO, (b"C\xc3\x03", b"C\xc3\xf8"))

    with pytest.raises(DecodeError):
        codec.decode(content)


def test_bytes_out_of_band_that_no_array_claims_are_refused():
    content = codec.encode((5,))

    message = b"\xc1\xc6" + struct.pack(">I", len(content) - 1) + content[1:]

    assert codec.decode(message) == (5,)
    with pytest.raises(DecodeError, match="has something behind it"):
        codec.decode(message + b"\x00")
    with pytest.raises(DecodeError, match="cut short"):
        codec.decode(message.replace(struct.pack(">I", 6), struct.pack(">I", 7)))


def test_bytes_out_of_band_in_a_message_that_promised_none_are_refused():
    content = codec.encode(np.arange(3, dtype="u1"))

    with pytest.raises(DecodeError):
        codec.decode(b"\xc1" + content[6:])


def test_array_where_numpy_is_not_imported_is_refused(monkeypatch):
    content = codec.encode(np.arange(3))
    monkeypatch.delitem(__import__("sys").modules, "numpy")

    with pytest.raises(DecodeError, match="import it here, too"):
        codec.decode(content)
