"""Messages that nearly are what the default codec makes: changed, cut, and put together anew."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from atasks_ng.codecs import MsgpackCodec

from ..codecs.samples import SAMPLES

codec = MsgpackCodec("fuzz")

# A long message takes the place of many short ones, and tells no more.
_MAX_BYTES = 2000


def messages() -> list[bytes]:
    """Return messages of every type: each sample alone, and each row as arguments of a call."""
    values = [sample for row in SAMPLES.values() for sample in row]
    calls = [(tuple(row), {"k": row[0]}) for row in SAMPLES.values()]
    found = [codec.encode(value) for value in [*values, *calls]]
    return [content for content in found if len(content) <= _MAX_BYTES]


def mutants(seed: int, count: int) -> Iterator[bytes]:
    """Yield as many changed messages; the same for the same seed."""
    dice = random.Random(seed)
    originals = messages()
    for _ in range(count):
        content = bytearray(dice.choice(originals))
        for _ in range(dice.choice((1, 1, 1, 2, 4))):
            if content:
                dice.choice(_CHANGES)(content, dice, originals)
        yield bytes(content)


def _flip(content: bytearray, dice: random.Random, originals: list[bytes]) -> None:
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)


def _replace(content: bytearray, dice: random.Random, originals: list[bytes]) -> None:
    content[dice.randrange(len(content))] = dice.choice(_TELLING)


def _cut(content: bytearray, dice: random.Random, originals: list[bytes]) -> None:
    del content[dice.randrange(len(content)) :]


def _remove(content: bytearray, dice: random.Random, originals: list[bytes]) -> None:
    start = dice.randrange(len(content))
    del content[start : start + dice.randint(1, 8)]


def _insert(content: bytearray, dice: random.Random, originals: list[bytes]) -> None:
    start = dice.randrange(len(content))
    content[start:start] = dice.randbytes(dice.randint(1, 8))


def _repeat(content: bytearray, dice: random.Random, originals: list[bytes]) -> None:
    start = dice.randrange(len(content))
    content[start:start] = content[start : start + dice.randint(1, 40)] * dice.randint(1, 20)


def _splice(content: bytearray, dice: random.Random, originals: list[bytes]) -> None:
    other = dice.choice(originals)
    start = dice.randrange(len(content))
    begin = dice.randrange(len(other))
    content[start : start + dice.randint(0, 20)] = other[begin : begin + dice.randint(1, 60)]


# Bytes that begin arrays, maps, text, bytes and extensions, of no and of the greatest length.
_TELLING = bytes((*range(0x80, 0xA0, 5), *range(0xC0, 0xE0), 0x00, 0x7F, 0xFF, *range(0x40, 0x60)))

_CHANGES: list[Callable[[bytearray, random.Random, list[bytes]], None]] = [
    _flip,
    _flip,
    _replace,
    _replace,
    _cut,
    _remove,
    _insert,
    _repeat,
    _splice,
    _splice,
]
