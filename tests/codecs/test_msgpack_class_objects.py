"""Classes themselves travel where they must: what class methods that are tasks are called on."""

from __future__ import annotations

import subprocess

import pytest

from atasks_ng import atask
from atasks_ng.codecs import MsgpackCodec
from atasks_ng.words.errors import DecodeError, EncodeError


class Service:
    @classmethod
    @atask
    async def name(cls) -> str:
        return cls.__name__


class Derived(Service):
    pass


@pytest.mark.parametrize("cls", [Service, Derived, int, dict, type(None)])
def test_class_travels_as_itself(cls: type) -> None:
    codec = MsgpackCodec()

    assert codec.decode(codec.encode(((cls,), {}))) == ((cls,), {})


@pytest.mark.parametrize("cls", [subprocess.Popen, object, type])
def test_class_that_no_task_belongs_to_is_refused(cls: type) -> None:
    with pytest.raises(EncodeError, match=r"args\[0\].*class"):
        MsgpackCodec().encode(((cls,), {}))


def test_class_of_another_program_is_not_looked_up() -> None:
    codec = MsgpackCodec()
    forged = codec.encode(((Service,), {})).replace(
        b"test_msgpack_class_objects:Service", b"subprocess:Popen".ljust(34, b" ")
    )

    with pytest.raises(DecodeError):
        codec.decode(forged)
