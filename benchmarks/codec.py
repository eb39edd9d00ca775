"""What encoding and decoding cost: the default codec, and others in turn."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
import pickle
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgpack

from atasks_ng.codecs import MsgpackCodec, register

from . import rounds
from .tables import Figures, Table

_OURS = "MsgpackCodec"

Way = tuple[Callable[[Any], bytes], Callable[[bytes], Any]]


@dataclasses.dataclass
class Reading:
    """What some instrument said."""

    instrument: str
    at: float
    values: list[float]
    is_final: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this measurement."""
    rounds.add_options(parser, rounds=7)
    parser.add_argument(
        "--seconds", type=float, default=0.2, help="for one turn (default: %(default)s)"
    )


def quicken(options: argparse.Namespace) -> None:
    """Make the run short."""
    options.rounds, options.seconds = 1, 0.005


def run(options: argparse.Namespace) -> list[Table]:
    """Measure."""
    register(Reading)
    return [_table(options, name, value) for name, value in _values()]


def _values() -> Iterator[tuple[str, Any]]:
    yield 'the arguments (1, "abc", {"k": [1, 2, 3]})', ((1, "abc", {"k": [1, 2, 3]}), {})
    yield "1 MiB of bytes", os.urandom(1024 * 1024)
    yield "a dataclass of four fields", Reading("pump", 12.5, [0.25, 0.5, 0.75])
    try:
        numpy = importlib.import_module("numpy")
    except ImportError:
        return
    yield "a numpy array of 1000 x 128 floats", numpy.random.default_rng(1).random((1000, 128))


def _table(options: argparse.Namespace, name: str, value: Any) -> Table:
    ways = {who: way for who, way in _ways(value) if _can(way, value)}
    found: dict[str, list[Figures]] = {who: [] for who in ways}

    def turn(who: str) -> None:
        found[who].append(_measure(ways[who], value, options.seconds / 2))

    rounds.take_turns(options.rounds, list(ways), turn)
    return Table(
        f"{name}: encoded and decoded",
        "both ns",
        found,
        ("encode ns", "decode ns", "bytes"),
        ("msgpack", "msgspec", "pickle"),
        (_OURS,),
    )


def _ways(value: Any) -> Iterator[tuple[str, Way]]:
    codec = MsgpackCodec(namespace="benchmarks")
    yield _OURS, (codec.encode, codec.decode)
    yield "msgpack", (msgpack.packb, msgpack.unpackb)
    try:
        msgspec = importlib.import_module("msgspec")
    except ImportError:
        pass
    else:
        # It is told what comes, where the others find out; without that it makes dicts.
        known = Reading if isinstance(value, Reading) else Any
        decoder = msgspec.msgpack.Decoder(known)
        yield "msgspec", (msgspec.msgpack.Encoder().encode, decoder.decode)
    yield "pickle", (lambda obj: pickle.dumps(obj, protocol=5), pickle.loads)


def _can(way: Way, value: Any) -> bool:
    """Tell whether a value has a form in a codec."""
    encode, decode = way
    try:
        decode(encode(value))
    except (TypeError, ValueError, NotImplementedError):
        return False
    return True


def _measure(way: Way, value: Any, seconds: float) -> Figures:
    encode, decode = way
    content = encode(value)
    times = _time(encode, value, seconds), _time(decode, content, seconds)
    return {
        "both ns": sum(times),
        "encode ns": times[0],
        "decode ns": times[1],
        "bytes": len(content),
    }


def _time(function: Callable[[Any], Any], argument: Any, seconds: float) -> float:
    """Return how many nanoseconds one of many calls takes."""
    calls, spent = 1, 0.0
    while True:
        begin = time.perf_counter()
        for _ in range(calls):
            function(argument)
        spent = time.perf_counter() - begin
        if spent >= seconds:
            return spent / calls * 1e9
        calls = max(calls * 2, int(calls * seconds / max(spent, 1e-9)) + 1)
