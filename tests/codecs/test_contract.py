"""What every codec of the package promises."""

from __future__ import annotations

import inspect
import threading

import pytest

import atasks_ng.codecs
from atasks_ng.codecs import (
    CloudpickleCodec,
    Codec,
    JsonCodec,
    MsgpackCodec,
    PickleCodec,
    get_codec,
)
from atasks_ng.words.errors import CodecError, DecodeError, EncodeError

CODECS = [MsgpackCodec, PickleCodec, CloudpickleCodec, JsonCodec]

VALUES = [
    None,
    True,
    -1,
    2**70,
    1.5,
    "ž\ud800",
    [1, [2]],
    {"k": {"l": [None, "x"]}},
    {"errors": [{"module": "app", "name": "E", "args": ["a", 1], "frames": [["f.py", 1]]}]},
]


@pytest.fixture(params=CODECS, ids=lambda cls: cls.__name__)
def codec(request):
    return request.param("test-contract")


def test_codec_is_named_after_its_class(codec):
    assert codec.name == type(codec).__name__
    assert repr(codec) == f"<{codec.name} of 'test-contract'>"


def test_codec_installs_itself(codec):
    assert get_codec("test-contract") is codec


def test_codec_installs_itself_in_the_default_namespace():
    before = get_codec()
    try:
        assert [get_codec() is make() for make in CODECS] == [False] * len(CODECS)
        assert isinstance(get_codec(), CODECS[-1])
    finally:
        atasks_ng.codecs.base.namespaces.register("default", codec=before)


def test_codec_is_a_codec_with_plain_methods(codec):
    assert isinstance(codec, Codec)
    assert not inspect.iscoroutinefunction(codec.encode)
    assert not inspect.iscoroutinefunction(codec.decode)


@pytest.mark.parametrize("value", VALUES, ids=ascii)
def test_value_that_all_carry_arrives(codec, value):
    content = codec.encode(value)

    assert type(content) is bytes
    assert repr(codec.decode(content)) == repr(value)


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1, "abc", {"k": [1, 2, 3]}), {}), ((), {"x": [1], "y": None})]
)
def test_arguments_arrive_ready_for_a_call(codec, args, kwargs):
    def function(*args, **kwargs):
        return args, kwargs

    arrived_args, arrived_kwargs = codec.decode(codec.encode((args, kwargs)))

    assert function(*arrived_args, **arrived_kwargs) == (args, kwargs)


def test_what_cannot_be_encoded_is_named(codec):
    value = ((1, {"k": [threading.Lock()]}), {})

    with pytest.raises(EncodeError) as caught:
        codec.encode(value)

    assert str(caught.value).startswith("args[1]['k'][0]: ")
    assert "_thread.lock" in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_encode_error_leaves_the_codec_usable(codec):
    with pytest.raises(EncodeError):
        codec.encode(threading.Lock())

    assert codec.decode(codec.encode([1])) == [1]


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff" * 20, b"rubbish", b"\xc1"])
def test_rubbish_is_refused(codec, content):
    with pytest.raises((DecodeError, atasks_ng.words.errors.IncompatibleError)):
        codec.decode(content)


def test_message_that_is_cut_short_is_refused(codec):
    content = codec.encode((("text",), {"k": ["more text"]}))

    for length in range(len(content)):
        with pytest.raises(CodecError):
            codec.decode(content[:length])


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_content_may_be_any_kind_of_bytes(codec, kind):
    content = codec.encode([1, "x" * 2000])

    assert codec.decode(kind(content)) == [1, "x" * 2000]


def test_public_names_are_those_of_the_list():
    assert sorted(atasks_ng.codecs.__all__) == atasks_ng.codecs.__all__
    for name in atasks_ng.codecs.__all__:
        assert inspect.getdoc(getattr(atasks_ng.codecs, name))
