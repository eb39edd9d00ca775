"""
Large bodies in pieces, so that they are copied once: into what is written to the socket.

Joining an envelope with its payload, and again with its seal, and again with the frames around it,
costs more for 100 KiB than everything else that is done with a call.
"""

from __future__ import annotations

from typing import final


@final
class Pieces:
    """
    Bytes that are not in one place yet; ``bytes(pieces)`` puts them there.

    Args:
        parts: What they consist of, in order.
    """

    __slots__ = ("_size", "parts")

    def __init__(self, *parts: bytes) -> None:
        self.parts = parts
        self._size = sum(map(len, parts))

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)

    def __add__(self, more: bytes) -> Pieces:
        return Pieces(*self.parts, more)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (bytes, Pieces)):
            return bytes(self) == bytes(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as of what is compared by what it holds

    def __repr__(self) -> str:
        return f"<Pieces of {self._size} bytes>"


#: What travels: most of the time bytes.
Body = bytes | Pieces


def parts_of(body: Body | memoryview) -> tuple[bytes | memoryview, ...]:
    """Return what a body consists of, in order."""
    return body.parts if isinstance(body, Pieces) else (body,)
