"""
What encoding and decoding cost: the default codec, and others in turn.

Arrays and long bytes are compared with plain msgpack in copies: how many times their bytes could
have been copied in the time that a codec takes beyond it. msgpack gets the bytes of an array.
"""

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
from atasks_ng.transport.backends.amqp.lane import heap

from . import rounds
from .tables import Figures, Table, spread

_OURS = "MsgpackCodec"
_PLAIN = "msgpack"
_COPY = "memcpy"
_BEYOND = f"{_COPY}s over {_PLAIN}"
# From here on, copying is most of the work.
_LARGE_BYTES = 1024 * 1024

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
    rounds.add_options(parser, rounds=21)
    parser.add_argument(
        "--seconds", type=float, default=0.06, help="for one turn (default: %(default)s)"
    )


def quicken(options: argparse.Namespace) -> None:
    """Make the run short."""
    options.rounds, options.seconds = 1, 0.005


def run(options: argparse.Namespace) -> list[Table]:
    """Measure."""
    register(Reading)
    heap.keep()  # as connecting does: else most of a large message's time goes into fresh pages
    return [_table(options, name, value) for name, value in _values()]


def _values() -> Iterator[tuple[str, Any]]:
    yield 'the arguments (1, "abc", {"k": [1, 2, 3]})', ((1, "abc", {"k": [1, 2, 3]}), {})
    yield "1 MiB of bytes", os.urandom(_LARGE_BYTES)
    yield "a dataclass of four fields", Reading("pump", 12.5, [0.25, 0.5, 0.75])
    try:
        numpy = importlib.import_module("numpy")
    except ImportError:
        return
    yield "1 MiB of numpy array, 1024 x 128 floats", numpy.random.default_rng(1).random((1024, 128))


def _table(options: argparse.Namespace, name: str, value: Any) -> Table:
    ways = {who: way for who, way in _ways(value) if _can(way, value)}
    is_large = _size(value) >= _LARGE_BYTES
    found: dict[str, list[Figures]] = {who: [] for who in [*ways, *[_COPY] * is_large]}

    def turn(who: str) -> None:
        if who == _COPY:
            found[who].append(_measure_copy(value, options.seconds))
        else:
            found[who].append(_measure(ways[who], value, options.seconds / 2))

    rounds.take_turns(options.rounds, list(found), turn)
    table = Table(
        f"{name}: encoded and decoded",
        "both ns",
        found,
        ("encode ns", "decode ns", "bytes"),
        (_PLAIN, "msgspec", "pickle"),
        (_OURS,),
    )
    return _in_copies(table) if is_large else table


def _size(value: Any) -> int:
    """Return of how many bytes a value is; 0 if it is not one block of them."""
    try:
        return memoryview(value).nbytes
    except TypeError:
        return 0


def _in_copies(table: Table) -> Table:
    """Return a table that also says how many copies longer than msgpack each takes."""
    found = {who: _with_copies(table, who) for who in table.found if who != _COPY}
    ours = [figures[_BEYOND] for figures in found[_OURS]]
    return dataclasses.replace(
        table,
        found={**table.found, **found},
        others=(*table.others, _BEYOND),
        notes=(f"{_BEYOND} of {_OURS}: {spread(ours)}",),
    )


def _with_copies(table: Table, who: str) -> list[Figures]:
    each_round = zip(*(table.found[row] for row in (who, _PLAIN, _COPY)), strict=True)
    return [
        {**own, _BEYOND: (own[table.main] - plain[table.main]) / copy[table.main]}
        for own, plain, copy in each_round
    ]


def _ways(value: Any) -> Iterator[tuple[str, Way]]:
    codec = MsgpackCodec(namespace="benchmarks")
    yield _OURS, (codec.encode, codec.decode)
    yield _PLAIN, (_plain_encode(value), msgpack.unpackb)
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


def _plain_encode(value: Any) -> Callable[[Any], bytes]:
    pack: Callable[[Any], bytes] = msgpack.Packer().pack
    return (lambda obj: pack(memoryview(obj))) if _size(value) else pack


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


def _measure_copy(value: Any, seconds: float) -> Figures:
    size = _size(value)
    return {"both ns": _time(bytes, bytearray(size), seconds), "bytes": size}


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
