"""
Bounds on the shape of a message, checked before any of it is built.

msgpack can skip over a message without building anything, ten times as fast as it reads it. An
array that claims more items than there are bytes then comes out at once, where reading would
first set aside memory for the claim: arrays within arrays, 1000 levels deep, make 100 MB of
100 KiB.
"""

from __future__ import annotations

import msgpack
from msgpack import Unpacker

#: Levels of arrays and maps in a message: the two that hold the arguments, then 256 to send
#: and 512 to receive, so that what is refused is refused at the caller.
MAX_SENT = 2 + 256
MAX_RECEIVED = 2 + 512

# Where msgpack itself stops. Arrays put before the message make it stop earlier.
_MAX_LEVELS = 1024
# msgpack without its C part recurses in Python, which stops it earlier still.
_IS_COMPILED = Unpacker.__module__ != "msgpack.fallback"

# Up to this size, counting the bytes that may begin an array or a map beats skipping.
_SMALL_BYTES = 4096
_BEGINNINGS = bytes((*range(0x80, 0xA0), *range(0xDC, 0xE0)))
_OTHER_BYTES = bytes(set(range(256)) - set(_BEGINNINGS))


# Skipping copies the message first. A large one is often a few values around one long one: these
# are counted here, where each costs as much as copying 5 KB.
_LARGE_BYTES = 64 * 1024
_MAX_COUNTED = 32
# By first byte, from 0xC0: how many bytes hold a length, how many follow beside what it counts, and
# how many values there are for each that it counts. 0xC1 means nothing.
_HEADS: dict[int, tuple[int, int, int]] = {
    0xC0: (0, 0, 0),
    0xC2: (0, 0, 0),
    0xC3: (0, 0, 0),
    **{first: (size, 0, 0) for first, size in zip(range(0xC4, 0xC7), (1, 2, 4), strict=True)},
    **{first: (size, 1, 0) for first, size in zip(range(0xC7, 0xCA), (1, 2, 4), strict=True)},
    **{
        first: (0, size, 0)
        for first, size in zip(range(0xCA, 0xD4), (4, 8, 1, 2, 4, 8, 1, 2, 4, 8), strict=True)
    },
    **{
        first: (0, 1 + size, 0)
        for first, size in zip(range(0xD4, 0xD9), (1, 2, 4, 8, 16), strict=True)
    },
    **{first: (size, 0, 0) for first, size in zip(range(0xD9, 0xDC), (1, 2, 4), strict=True)},
    0xDC: (2, 0, 1),
    0xDD: (4, 0, 1),
    0xDE: (2, 0, 2),
    0xDF: (4, 0, 2),
}


def is_too_deep(content: bytes, levels: int) -> bool:
    """Tell whether a whole message has more levels of arrays and maps."""
    if len(content) <= levels:
        return False
    if len(content) <= _SMALL_BYTES and len(content.translate(None, _OTHER_BYTES)) <= levels:
        return False
    try:
        skip(content, levels)
    except msgpack.StackError:
        return True
    return False


def skip(content: bytes | memoryview, levels: int) -> int:
    """
    Walk over a message.

    Args:
        content: The message.
        levels: How many levels of arrays and maps it may have.

    Returns:
        Its size in bytes, which is less than that of the content if something lies behind it.

    Raises:
        msgpack.OutOfData: It was cut short, or claims what is not there.
        msgpack.StackError: It is too deep.
        msgpack.FormatError: It is no msgpack.
    """
    if len(content) > _LARGE_BYTES:
        counted = _end_of_few(content)
        if counted is not None:
            return counted
    above = b"\x91" * (_MAX_LEVELS - levels) if _IS_COMPILED else b""
    reader = Unpacker(
        max_buffer_size=len(above) + len(content), read_size=len(above) + len(content)
    )
    reader.feed(above)
    reader.feed(content)
    reader.skip()
    end: int = reader.tell()
    return end - len(above)


def _end_of_few(content: bytes | memoryview) -> int | None:
    """Return the size of a message of few values; ``None`` if there are more, or it is damaged."""
    at, waiting, size = 0, 1, len(content)
    for _ in range(_MAX_COUNTED):
        if at >= size:
            return None
        length, inner = _length_of(content, at)
        at += length
        waiting += inner - 1
        if not waiting:
            return at if at <= size else None
    return None


def _length_of(content: bytes | memoryview, at: int) -> tuple[int, int]:
    """Return the bytes of the value that begins at one, and how many values are inside it."""
    first = content[at]
    if first < 0x80 or first >= 0xE0:
        return 1, 0
    if first < 0xA0:
        count = first & 0x0F
        return 1, count if first >= 0x90 else 2 * count
    if first < 0xC0:
        return 1 + (first & 0x1F), 0
    if first not in _HEADS:
        return len(content) + 1, 0
    size, more, inner = _HEADS[first]
    counted = int.from_bytes(content[at + 1 : at + 1 + size], "big")
    return (1 + size, inner * counted) if inner else (1 + size + more + counted, 0)
