"""Values for those that carry bytes only: bytes as they are, and whole numbers in digits."""

from __future__ import annotations

from typing import Any

_MOST_DIGITS = 20


def encode(value: bytes | int) -> bytes:
    """Return a value as bytes. Bytes, which must be longer than any number, are not copied."""
    return value if isinstance(value, bytes) else b"%d" % value


def decode(content: bytes) -> Any:
    """Return the value that bytes stand for."""
    return content if len(content) > _MOST_DIGITS else int(content)
