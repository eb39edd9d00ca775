"""What cannot be encoded is named: where it sits, what it is, and the way out."""

from __future__ import annotations

import array
import asyncio
import collections
import dataclasses
import functools
import io
import queue
import socket
import threading
from typing import Any

import pytest

from atasks_ng.codecs import MsgpackCodec, register
from atasks_ng.codecs.advice import ADVICE
from atasks_ng.words.errors import EncodeError

codec = MsgpackCodec("test-errors")


@register
@dataclasses.dataclass
class Holder:
    handle: Any
    name: str = ""


class Text(str):
    pass


class Opaque:
    pass


@register
@dataclasses.dataclass(frozen=True)
class Key:
    handle: Any


Row = register(collections.namedtuple("Row", ["left", "right"]))
register(Opaque, encode=lambda opaque: opaque.missing, decode=lambda value: value)
lock = threading.Lock()


def sentence_for(value: Any) -> str:
    with pytest.raises(EncodeError) as caught:
        codec.encode(value)
    return str(caught.value)


def test_sentence_names_the_value_the_type_and_the_way_out():
    sentence = sentence_for(((0, {"k": Holder(array.array("i"))}), {}))

    assert sentence == (
        "args[1]['k'].handle: a value of type array.array cannot be encoded: pass data instead, "
        "register(array, encode=..., decode=...) its class, or use CloudpickleCodec"
    )


async def forgotten() -> int:
    return 1


def test_coroutine_that_was_not_awaited_is_told_so():
    coroutine = forgotten()

    sentence = sentence_for(((coroutine,), {}))

    coroutine.close()
    assert sentence.startswith("args[0]: a value of type coroutine cannot be encoded: ")
    assert "await it first" in sentence


async def test_future_is_to_be_awaited_and_no_handle():
    assert "await it first" in sentence_for(asyncio.get_running_loop().create_future())


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (io.BytesIO, "handles"),
        (socket.socket, "handles"),
        (threading.Event, "handles"),
        (threading.Thread, "handles"),
        (asyncio.Lock, "handles"),
        (queue.SimpleQueue, "handles"),
        (lambda: iter([1]), "generators"),
        (lambda: map(int, ()), "generators"),
        ({}.items, "generators"),
        (lambda: sentence_for, "functions"),
        (lambda: [].append, "functions"),
        (lambda: functools.partial(int), "functions"),
        (lambda: codec.encode, "functions"),
        (lambda: socket, "modules"),
    ],
)
def test_advice_is_that_of_the_kind(make, advice):
    value = make()

    sentence = sentence_for(value)

    if advice == "handles" and hasattr(value, "close"):
        value.close()
    assert sentence.endswith(f"cannot be encoded: {ADVICE[advice]}")


def test_subclass_is_told_what_it_would_arrive_as():
    assert sentence_for(Text("x")).endswith(
        "it would arrive as a str: register(Text, encode=..., decode=...) its class, "
        "or pass str(...)"
    )


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (((lock,), {}), "args[0]"),
        (((), {"x": lock}), "kwargs['x']"),
        (((), {"x": [0, (1, lock)]}), "kwargs['x'][1][1]"),
        ((({"a": {b"b": {3: lock}}},), {}), "args[0]['a'][b'b'][3]"),
        ((({(1, 2): lock},), {}), "args[0][<tuple>]"),
        ((({Key(lock): 1},), {}), "args[0]{<Key>}.handle"),
        ((({Key(lock)},), {}), "args[0]{<Key>}.handle"),
        (((Row(1, lock),), {}), "args[0].right"),
        (((Holder([Holder(lock)]),), {}), "args[0].handle[0].handle"),
        (((collections.deque([1, lock]),), {}), "args[0][1]"),
        (((collections.OrderedDict(a=lock),), {}), "args[0]['a']"),
        ((({10**5000: lock},), {}), "args[0][<int>]"),
        (lock, "value"),
        ([lock], "value[0]"),
        ((lock,), "value[0]"),
        ((1, {"k": lock}), "value[1]['k']"),
        ([b"bytes", bytearray(b"too"), lock], "value[2]"),
        (["\ud800", lock], "value[1]"),
    ],
)
def test_sentence_names_the_path(value, path):
    sentence = sentence_for(value)

    assert sentence.startswith(f"{path}: a value of type _thread.lock cannot be encoded: ")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (Text("x"), "value: a value of type .*Text cannot be encoded"),
        (type("Number", (int,), {})(1), "Number"),
        (type("Flags", (list,), {})(), "Flags"),
        (type("Table", (dict,), {})(), "Table"),
        (object, "the class object cannot be encoded"),
        (len, "builtin_function_or_method"),
        ((x for x in ()), "generator"),
        ([b"x", memoryview(b"y")], r"value\[1\]: a value of type memoryview"),
        ((b"x", (memoryview(b"y"),)), r"value\[1\]\[0\]: a value of type memoryview"),
        ({"k": {"x": memoryview(b"")}}, r"value\['k'\]\['x'\]: a value of type memoryview"),
        (memoryview(b""), "value: a value of type memoryview"),
        ({memoryview(b"x"): 1}, r"value{<memoryview>}: a value of type memoryview"),
        (collections.defaultdict(lambda: 1), "factory is a built-in type"),
        (Opaque(), r"value: a value that cannot be encoded \(AttributeError"),
    ],
)
def test_what_would_lose_its_type_is_refused(value, sentence):
    with pytest.raises(EncodeError, match=sentence):
        codec.encode(value)


def test_long_path_is_shortened():
    sentence = sentence_for(((({"x" * 1000: lock},),), {}))

    assert sentence.startswith("args[0][0]['xxx")
    assert "xxx ... xxx" in sentence
    assert len(sentence) < 400


def test_one_memoryview_among_many_parts_is_refused():
    value = [{"n": number, "b": [b"b"]} for number in range(200)]
    value[7]["b"].append(memoryview(b"x"))

    assert sentence_for(value).startswith("value[7]['b'][1]: a value of type memoryview")


def test_key_with_a_buffer_in_it_is_refused():
    @register
    @dataclasses.dataclass(eq=False)
    class Identity:
        buffer: bytearray

    with pytest.raises(EncodeError, match="a key that holds a bytearray"):
        codec.encode({Identity(bytearray(b"x")): 1})


def test_value_that_contains_itself_is_refused():
    loop: list[Any] = [1]
    loop.append({"k": loop})

    sentence = sentence_for(((0, loop), {}))

    assert sentence.startswith("args[1]")
    assert sentence.endswith("contains itself, or is nested too deep, cannot be encoded")


@pytest.mark.parametrize("leaf", [1, b"bytes", "\ud800"], ids=["int", "bytes", "surrogate"])
@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: (x,), lambda x: {"k": x}, Holder])
def test_value_nested_too_deep_is_refused(wrap, leaf):
    value: Any = leaf
    for _ in range(600):
        value = wrap(value)

    with pytest.raises(EncodeError, match="nested too deep"):
        codec.encode(value)


def test_container_that_cannot_be_walked_over_is_refused():
    class Shy(dict):
        def items(self):
            raise RuntimeError

        __iter__ = keys = items

    assert sentence_for([Shy(a=1)]).startswith("value[0]: a value of type ")


def test_error_keeps_its_cause():
    with pytest.raises(EncodeError) as caught:
        codec.encode(Opaque())

    assert isinstance(caught.value.__cause__, AttributeError)


def test_error_leaves_the_codec_usable():
    sentence_for((({"k": [1, 2, lock]},), {}))
    sentence_for([b"x", memoryview(b"x")])

    assert codec.decode(codec.encode([1, (2,), b"x"])) == [1, (2,), b"x"]


def test_decoder_of_the_user_that_fails_is_a_decode_error():
    @register(name="test:broken", encode=lambda broken: 1, decode=lambda value: 1 // 0)
    class Broken:
        pass

    content = codec.encode(Broken())

    with pytest.raises(ValueError, match="ZeroDivisionError"):
        codec.decode(content)


def test_interrupt_in_a_form_passes_through():
    def stop(value):
        raise KeyboardInterrupt

    @register(name="test:stop", encode=stop, decode=stop)
    class Stop:
        pass

    with pytest.raises(KeyboardInterrupt):
        codec.encode(Stop())
    assert codec.decode(codec.encode(1)) == 1


def test_form_that_encodes_something_itself_disturbs_nothing():
    @register(
        name="test:nested",
        encode=lambda nested: codec.encode((1, [2], "x" * 1000)),
        decode=lambda value: Nested(),
    )
    class Nested:
        pass

    first, second, third = codec.decode(codec.encode(["a" * 10, Nested(), (1, "b")]))

    assert (first, type(second), third) == ("a" * 10, Nested, (1, "b"))
