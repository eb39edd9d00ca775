"""Values to payloads and back, by a codec whose methods may be plain or async."""

from __future__ import annotations

import asyncio
from typing import Any

from ..codecs.base import Codec
from ..words import errors


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
    try:
        data = codec.encode(value)
        if not isinstance(data, bytes):
            data = await data
    except errors.CodecError:
        raise
    except Exception as exc:
        raise errors.EncodeError(f"{what} cannot be encoded by {codec.name}: {exc}") from exc
    if not isinstance(data, bytes):
        raise errors.EncodeError(f"{codec.name}.encode() returned {type(data).__name__}, not bytes")
    return data


async def decode(codec: Codec, payload: bytes, what: str) -> Any:
    """
    Return the value of a payload. See :func:`encode`.

    Raises:
        DecodeError: The codec refuses it.
    """
    try:
        value = codec.decode(payload)
        if asyncio.iscoroutine(value) or asyncio.isfuture(value):
            value = await value
        return value
    except errors.CodecError:
        raise
    except Exception as exc:
        raise errors.DecodeError(f"{what} cannot be decoded by {codec.name}: {exc}") from exc


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
