"""PickleCodec and CloudpickleCodec."""

from __future__ import annotations

import collections
import pickle
import subprocess
import sys
import threading

import pytest

from atasks_ng import atask, connect
from atasks_ng.codecs import CloudpickleCodec, PickleCodec
from atasks_ng.words.errors import DecodeError, EncodeError, IncompatibleError

lock = threading.Lock()


class Plain:
    def __init__(self, **attributes):
        vars(self).update(attributes)


def test_pickle_carries_any_class_at_module_level():
    codec = PickleCodec("test-pickle")

    arrived = codec.decode(codec.encode((Plain(x=[1]), collections.Counter("aa"))))

    assert vars(arrived[0]) == {"x": [1]}
    assert arrived[1] == {"a": 2}


def test_pickle_options_are_passed_on():
    codec = PickleCodec("test-pickle", 2, False, "bytes", "replace")

    assert codec.encode([1]) == pickle.dumps([1], 2, fix_imports=False)
    assert codec.decode(b"U\x02a\xff.") == b"a\xff"
    assert (codec.protocol, codec.fix_imports, codec.encoding, codec.errors) == (
        2,
        False,
        "bytes",
        "replace",
    )


@pytest.mark.parametrize("make", [PickleCodec, CloudpickleCodec])
@pytest.mark.parametrize(
    ("value", "path"),
    [
        (((0, {"k": Plain(handle=lock)}), {}), "args[1]['k'].handle"),
        (((), {"x": [lock]}), "kwargs['x'][0]"),
        (lock, "value"),
        ((1, lock), "value[1]"),
    ],
)
def test_what_cannot_be_pickled_is_named(make, value, path):
    codec = make("test-pickle")

    with pytest.raises(EncodeError) as caught:
        codec.encode(value)

    assert str(caught.value).startswith(f"{path}: a value of type _thread.lock cannot be pickled (")
    assert isinstance(caught.value.__cause__, TypeError)


def test_pickle_refuses_a_lambda_and_names_the_way_out():
    with pytest.raises(
        EncodeError, match=r"^args\[0\]: a value of type function .*CloudpickleCodec"
    ):
        PickleCodec("test-pickle").encode(((lambda: 1,), {}))


@pytest.mark.parametrize("content", [b"", b"x", b"\x80\x04", b"cnowhere\nx\n.", b"\x80\xff."])
def test_what_is_no_pickle_is_refused(content):
    with pytest.raises(DecodeError) as caught:
        PickleCodec("test-pickle").decode(content)

    assert caught.value.__cause__ is not None


def test_cloudpickle_carries_lambdas_and_local_classes():
    codec = CloudpickleCodec("test-cloudpickle")
    offset = 5

    class Local:
        x = offset

    function, cls = codec.decode(codec.encode((lambda x: x + offset, Local)))

    assert function(1) == 6
    assert cls().x == 5


def test_cloudpickle_carries_what_main_defines_to_another_process():
    program = (
        "import sys; from atasks_ng.codecs import CloudpickleCodec\n"
        "def double(x): return x * 2\n"
        "sys.stdout.buffer.write(CloudpickleCodec().encode(double))"
    )
    content = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True
    ).stdout

    assert CloudpickleCodec("test-cloudpickle").decode(content)(4) == 8


def test_cloudpickle_of_another_python_is_refused():
    codec = CloudpickleCodec("test-cloudpickle")
    content = codec.encode(1)
    assert content[:2] == bytes(sys.version_info[:2])

    with pytest.raises(IncompatibleError) as caught:
        codec.decode(bytes((3, 2)) + content[2:])

    ours = "{}.{}".format(*sys.version_info)
    assert caught.value.args == ("Python version", "3.2", ours)


class OldCodec(CloudpickleCodec):
    """That of Python 3.2."""

    name = "CloudpickleCodec"
    only_results = False

    def encode(self, obj):
        content = super().encode(obj)
        is_call = type(obj) is tuple and len(obj) == 2 and type(obj[1]) is dict
        return content if is_call == self.only_results else bytes((3, 2)) + content[2:]


@atask
async def echo(value):
    return value


@atask
async def fail():
    raise ValueError("a reason")


@pytest.mark.parametrize("task", [echo, fail])
@pytest.mark.parametrize("only_results", [False, True])
async def test_caller_hears_that_the_other_python_differs(monkeypatch, task, only_results):
    ours = "{}.{}".format(*sys.version_info)
    monkeypatch.setattr(OldCodec, "only_results", only_results)
    OldCodec()
    async with connect("loopback://"):
        with pytest.raises(IncompatibleError) as caught:
            await (task(1) if task is echo else task())

    there_and_here = ("3.2", ours) if only_results else (ours, "3.2")
    assert caught.value.args == ("Python version", *there_and_here)


@pytest.mark.parametrize("content", [b"", b"\x03", bytes(sys.version_info[:2])])
def test_what_is_no_cloudpickle_is_refused(content):
    with pytest.raises(DecodeError):
        CloudpickleCodec("test-cloudpickle").decode(content)


def test_cloudpickle_that_is_not_installed_is_an_encode_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)

    with pytest.raises(EncodeError, match="pip install cloudpickle"):
        CloudpickleCodec("test-cloudpickle").encode(1)
