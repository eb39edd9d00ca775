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


def is_too_deep(content: bytes, start: int, levels: int) -> bool:
    """Tell whether a whole message, from a byte on, has more levels of arrays and maps."""
    if len(content) <= levels:
        return False
    if len(content) <= _SMALL_BYTES and len(content.translate(None, _OTHER_BYTES)) <= levels:
        return False
    try:
        skip(memoryview(content)[start:], levels)
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
    above = b"\x91" * (_MAX_LEVELS - levels) if _IS_COMPILED else b""
    reader = Unpacker(
        max_buffer_size=len(above) + len(content), read_size=len(above) + len(content)
    )
    reader.feed(above)
    reader.feed(content)
    reader.skip()
    end: int = reader.tell()
    return end - len(above)
