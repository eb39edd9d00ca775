"""The errors of the library: one tree, standard bases, and they survive the wire."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

from atasks_ng import errors as public
from atasks_ng.protocol import failures
from atasks_ng.words import errors

#: Arguments of each error that is raised, and what its sentence must say.
SAMPLES: dict[str, tuple[tuple[Any, ...], str]] = {
    "NotConnectedError": (("images",), "connect(url, namespace='images')"),
    "ForkedError": (("images",), "after the fork"),
    "WrongLoopError": (("images",), "run_coroutine_threadsafe"),
    "NoCodecError": (("default",), "atasks_ng.codecs.MsgpackCodec()"),
    "RegisteredTwiceError": (("m:f", "default", "a.py:1", "b.py:2"), "@atask(name=...)"),
    "OptionError": (("timeout='x' is not a duration",), "timeout='x'"),
    "BadURLError": (("x://", "no transport has it"), "no transport has it"),
    "UnsupportedError": (("use another transport",), "use another transport"),
    "UnknownTaskError": (("pkg.mod:f", "default", "host:1"), "atasks-ng worker pkg.mod"),
    "NoWorkerError": (("pkg.mod:f", "gpu", 30.0), "--queue gpu"),
    "WorkerLostError": (("m:f", 3), "attempt 3"),
    "DeadlineError": (("m:f", 0.5), "within 0.5 s"),
    "RecursionTooDeepError": (("m:f", 1000), "max_depth"),
    "RemoteError": (("pkg.Odd", "text of it"), "pkg.Odd: text of it"),
    "EncodeError": (("args[0]: pass data",), "pass data"),
    "DecodeError": (("these bytes",), "these bytes"),
    "TooLargeError": (
        (10, 5, "the result of 'm:f'", "Router(max_payload_bytes=...) in the worker"),
        "limit is 5: pass a reference to the data, or raise Router(max_payload_bytes=...) in the",
    ),
    "ConnectionLostError": (("cannot connect",), "cannot connect"),
    "AccessDeniedError": (("user 'me' may not",), "may not"),
    "TLSError": (("certificate has expired",), "expired"),
    "BadMessageError": (("not msgpack",), "not msgpack"),
    "IncompatibleError": (("codec", "JsonCodec", "MsgpackCodec"), "use the same codec"),
    "SignatureError": (("default", "it is not signed"), "'default' was refused: it is not signed"),
}

#: Where except clauses written for the standard library must catch them.
BASES = {
    "NotConnectedError": RuntimeError,
    "ForkedError": RuntimeError,
    "WrongLoopError": RuntimeError,
    "NoCodecError": RuntimeError,
    "RegisteredTwiceError": ValueError,
    "OptionError": TypeError,
    "BadURLError": ValueError,
    "UnsupportedError": NotImplementedError,
    "UnknownTaskError": LookupError,
    "NoWorkerError": LookupError,
    "DeadlineError": TimeoutError,
    "RecursionTooDeepError": RecursionError,
    "EncodeError": TypeError,
    "DecodeError": ValueError,
    "TooLargeError": ValueError,
    "ConnectionLostError": ConnectionError,
    "AccessDeniedError": PermissionError,
    "TLSError": ConnectionError,
    "BadMessageError": ValueError,
}

ALL = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, errors.AtasksError)
]
# Branches of the tree, which are caught and not raised.
BRANCHES = {
    "AtasksError",
    "UsageError",
    "CallError",
    "CodecError",
    "ProtocolError",
}


def sample(name: str) -> errors.AtasksError:
    made: errors.AtasksError = getattr(errors, name)(*SAMPLES[name][0])
    return made


def test_every_error_has_a_sample() -> None:
    without = {each.__name__ for each in ALL} - BRANCHES - set(SAMPLES)

    assert without == set(), "add arguments and a part of the sentence to SAMPLES"


@pytest.mark.parametrize("name", SAMPLES)
def test_error_has_one_branch_of_the_tree(name: str) -> None:
    branches = {errors.UsageError, errors.CallError, errors.CodecError, errors.ProtocolError}

    above = branches.intersection(getattr(errors, name).__mro__)

    is_of_world = issubclass(getattr(errors, name), errors.ConnectionLostError)
    assert len(above) == (0 if is_of_world else 1)


@pytest.mark.parametrize(("name", "base"), BASES.items())
def test_error_is_caught_as_what_it_is_elsewhere(name: str, base: type[Exception]) -> None:
    assert isinstance(sample(name), base)


@pytest.mark.parametrize("name", SAMPLES)
def test_sentence_says_what_is_the_matter(name: str) -> None:
    assert SAMPLES[name][1] in str(sample(name))


@pytest.mark.parametrize("name", SAMPLES)
def test_arguments_are_those_of_the_constructor(name: str) -> None:
    error = sample(name)

    assert error.args[: len(SAMPLES[name][0])] == SAMPLES[name][0]
    assert type(error)(*error.args).args == error.args


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize(
    "travel",
    [
        copy.copy,
        lambda error: pickle.loads(pickle.dumps(error)),
        lambda error: failures.rebuild(failures.describe(error, "worker", "task")),
    ],
    ids=["copied", "pickled", "rebuilt"],
)
def test_error_arrives_whole(name: str, travel: Any) -> None:
    error = sample(name)

    arrived = travel(error)

    assert type(arrived) is type(error)
    assert arrived.args == error.args
    assert str(arrived) == str(error)
    attributes = {key: value for key, value in vars(error).items() if not key.startswith("__")}
    assert {key: getattr(arrived, key) for key in attributes} == attributes


def test_errors_are_public() -> None:
    assert {each.__name__ for each in ALL} <= set(public.__all__)


def test_task_with_a_name_of_its_own_is_taken_for_no_module() -> None:
    missed = errors.NoWorkerError("my.nap", "default", 30.0)

    assert "atasks-ng worker <the module that defines 'my.nap'> --url" in str(missed)
