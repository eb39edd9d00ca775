"""Values to payloads and back, by a codec whose methods may be plain or async."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from ..codecs.base import Codec
from ..words import errors


class Pending:
    """A value that is still being decoded, by a codec whose methods are async."""

    __slots__ = ("_codec", "_value", "_what")

    def __init__(self, codec: Codec, value: Awaitable[Any], what: str) -> None:
        self._codec = codec
        self._value = value
        self._what = what

    async def wait(self) -> Any:
        """Return the value. See :func:`decode`."""
        try:
            return await self._value
        except Exception as exc:
            if _says_enough(exc):
                raise
            raise _undecodable(self._codec, self._what, exc) from exc


def encode_nowait(codec: Codec, value: Any, what: str) -> bytes | Awaitable[bytes]:
    """
    Return a value as bytes, or what must be awaited for them if the codec's method is async.

    Args and errors: see :func:`encode`.
    """
    try:
        data = codec.encode(value)
    except errors.CodecError:
        raise
    except Exception as exc:
        raise _unencodable(codec, what, exc) from exc
    return data if type(data) is bytes else _encoded(codec, data, what)


def decode_nowait(codec: Codec, payload: bytes, what: str) -> Any:
    """
    Return the value of a payload, or a :class:`Pending` if the codec's method is async.

    Args and errors: see :func:`decode`.
    """
    try:
        value = codec.decode(payload)
    except Exception as exc:
        if _says_enough(exc):
            raise
        raise _undecodable(codec, what, exc) from exc
    # By its type: a value may have an attribute of any name.
    if not hasattr(type(value), "__await__"):
        return value
    waits = asyncio.iscoroutine(value) or asyncio.isfuture(value)
    return Pending(codec, value, what) if waits else value


async def encode(codec: Codec, value: Any, what: str) -> bytes:
    """
    Return a value as bytes.

    Args:
        codec: The codec.
        value: The value.
        what: What it is, for the error: ``"the result of 'm:f'"``.

    Raises:
        EncodeError: The codec refuses it.
    """
    data = encode_nowait(codec, value, what)
    return data if type(data) is bytes else await data  # type: ignore[misc]


async def decode(codec: Codec, payload: bytes, what: str) -> Any:
    """
    Return the value of a payload. See :func:`encode`.

    Raises:
        DecodeError: The codec refuses it.
        IncompatibleError: It was made by a codec that differs from this one.
    """
    value = decode_nowait(codec, payload, what)
    return await value.wait() if type(value) is Pending else value


def too_large(payload: bytes, limit_bytes: int, what: str, side: str) -> errors.TooLargeError:
    """
    Return the error about a payload that the broker need not refuse, since it is refused here.

    Args:
        payload: The payload.
        limit_bytes: The largest one.
        what: What it is.
        side: Whose limit it is: ``"caller"`` or ``"worker"``.
    """
    option = f"Router(max_payload_bytes=...) in the {side}"
    return errors.TooLargeError(len(payload), limit_bytes, what, option)


async def encode_failure(codec: Codec, record: dict[str, Any]) -> bytes:
    """
    Return the record of an exception as bytes, without what the codec refuses.

    Arguments that cannot be encoded become their text, attributes are dropped; an exception is
    never lost for what it carries.

    Raises:
        EncodeError: Not even that can be encoded.
    """
    what = "an exception"
    try:
        return await encode(codec, record, what)
    except errors.CodecError:
        pruned = [await _pruned(codec, each) for each in record["errors"]]
        return await encode(codec, {**record, "errors": pruned}, what)


async def _encoded(codec: Codec, data: Any, what: str) -> bytes:
    try:
        found = data if isinstance(data, bytes) else await data
    except errors.CodecError:
        raise
    except Exception as exc:
        raise _unencodable(codec, what, exc) from exc
    if not isinstance(found, bytes):
        kind = type(found).__name__
        raise errors.EncodeError(f"{codec.name}.encode() returned {kind}, not bytes")
    return found


def _unencodable(codec: Codec, what: str, exc: Exception) -> errors.EncodeError:
    return errors.EncodeError(f"{what} cannot be encoded by {codec.name}: {exc}")


def _says_enough(exc: Exception) -> bool:
    """Tell whether an error of a codec reaches the caller as it is; others are told of what."""
    own = isinstance(exc, (errors.CodecError, errors.IncompatibleError))
    return own and type(exc) is not errors.DecodeError


def _undecodable(codec: Codec, what: str, exc: Exception) -> errors.DecodeError:
    return errors.DecodeError(f"{what} cannot be decoded by {codec.name}: {exc}")


def shown(value: Any) -> str:
    """Return ``repr()`` of a value, or its type where the value's own code fails."""
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__} whose repr() fails>"


async def _pruned(codec: Codec, record: dict[str, Any]) -> dict[str, Any]:
    args = [arg if await _fits(codec, arg) else shown(arg) for arg in record["args"]]
    attributes = {
        name: value for name, value in record["attributes"].items() if await _fits(codec, value)
    }
    return {**record, "args": args, "attributes": attributes}


async def _fits(codec: Codec, value: Any) -> bool:
    try:
        await encode(codec, [value], "")
    except errors.CodecError:
        return False
    return True
