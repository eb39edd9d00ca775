"""
What goes over the wire beside plain msgpack: one extension code per kind of value.

Law: a *leaf* is an extension whose data holds the whole value. A *composite* is an array whose
first item is an extension without data, the mark; the items after it are the parts, encoded
like any other value. A mark never appears anywhere else. Codes are never given a second meaning.

The bytes of arrays travel *out of band*: behind all values, one array's after the other's. msgpack,
which copies what it packs twice and what it unpacks once, does not see them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from msgpack import ExtType, Timestamp

#: Exact types without parts that msgpack carries as they are (or, for a large int, asks about).
SCALARS = frozenset({type(None), bool, int, float, str, bytes, ExtType, Timestamp})
#: Exact types that msgpack carries as they are.
NATIVE = SCALARS | {list, dict}

#: A leaf (``ExtType``), or the list of a composite: its mark, then its parts.
Form = Any

# -- messages ----------------------------------------------------------------------------------

# A message is [value], or [args, kwargs].
VALUE, ARGUMENTS = 0x91, 0x92
#: What stands before it if there are composites in it; msgpack itself never uses that byte.
MARK = 0xC1
MARKED = bytes((MARK,))
#: What stands before it if there are arrays, too: this, and its size. Behind it are their bytes.
OUT_OF_BAND = bytes((MARK, 0xC6))
SIZE = struct.Struct(">I")

#: What becomes of lone surrogates in text, which os.fsdecode() makes: they arrive.
UNICODE = "surrogatepass"

# -- leaves ------------------------------------------------------------------------------------

BIG_INT = 0x50  # two's complement, big endian: what does not fit into 64 bits
COMPLEX = 0x51
BYTEARRAY = 0x52
DECIMAL = 0x53
UUID = 0x54
PATH = 0x55  # a path of the machine that decodes it
PURE_POSIX_PATH = 0x56
PURE_WINDOWS_PATH = 0x57
DATE = 0x58
DATETIME = 0x59  # naive
DATETIME_UTC = 0x5A
TIME = 0x5B  # naive
TIMEDELTA = 0x5C
TIMEZONE = 0x5D
ZONE = 0x5E  # zoneinfo, by its key
ELLIPSIS = 0x5F

# -- composites --------------------------------------------------------------------------------

TUPLE = 0x40
SET = 0x41
FROZENSET = 0x42
FRACTION = 0x43
RANGE = 0x44
SLICE = 0x45
AWARE = 0x46  # datetime or time with any other time zone
OBJECT = 0x47  # instance of a registered class: name, then what its recipe says
ARRAY = 0x48  # numpy.ndarray; its last part is how many of the bytes out of band are its own
SCALAR = 0x49  # numpy.generic
ORDERED_DICT = 0x4A
DEFAULT_DICT = 0x4B
COUNTER = 0x4C
DEQUE = 0x4D
CLASS = 0x4E  # a class itself, by the name of its instances: what a class method is called on
ERROR = 0x4F  # an exception that was not raised: which of the records is it, then the records


class Mark:
    """
    The first item of a composite, as the decoder sees it.

    Args:
        build: Makes the value of the list of its parts, which it may change.
    """

    __slots__ = ("build",)

    def __init__(self, build: Callable[[list[Any]], Any]) -> None:
        self.build = build


class OutOfBand:
    """
    The bytes of an array, as the encoder sees them; among the values stands their number.

    Args:
        content: The bytes, flat.
    """

    __slots__ = ("content",)

    def __init__(self, content: bytes | memoryview) -> None:
        self.content = content


def ext(code: int, data: bytes = b"") -> ExtType:
    """Return an extension value; checks nothing, which makes it three times as fast."""
    return tuple.__new__(ExtType, (code, data))
