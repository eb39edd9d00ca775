"""A codec around another one whose messages carry the signature of a key."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any

from ..protocol.seals import Seal, Signature
from ..words.errors import OptionError
from .base import Codec
from .keys import KeyRing, KeySource

_PURPOSE = "signature"


class SignedCodec(Codec):
    """
    Values as another codec has them, in messages that only holders of a key can make.

    Each message between processes, with payload or without, is signed: requests, answers,
    cancels and all else. The signature covers the namespace, the name of the codec, who the message
    is for, the time and every byte; it is checked before a byte of the message is read. What
    is not signed so, is dropped by a caller, whose call goes on waiting for the true answer, and
    put into the dead-letter queue by a worker. On loopback nothing is signed.

    Callers and workers use the same codec and share a key. It proves that a message comes from one
    of them, not from which. It hides nothing.

    A request that is signed more than five minutes ago, or ahead, and each request of a task with
    ``ack="early"``, runs only after its caller, asked by the worker, has said that it waits. So
    clocks should not differ by more than that.

    Args:
        inner: Makes the bytes; its methods may be plain or ``async``.
        key: A key, several, or a callable that returns them: see
            :class:`~atasks_ng.codecs.keys.KeyRing`. ``None``: those in ``ATASKS_NG_KEY``.
        namespace: Where to install this one; ``None`` is that of the inner codec, whose place it
            takes.

    Raises:
        OptionError: The codec is none, or there is no key, or one is too short.
    """

    def __init__(self, inner: Codec, key: KeySource = None, namespace: str | None = None) -> None:
        if not isinstance(inner, Codec):
            raise OptionError(f"SignedCodec() wants a codec, not {inner!r}")
        keys = KeyRing(key)
        super().__init__(inner.namespace if namespace is None else namespace)
        self.inner = inner
        self.name = f"{type(self).name}({inner.name})"
        self._keys = keys

    def encode(self, obj: Any) -> bytes | Awaitable[bytes]:
        """Return the bytes of the inner codec."""
        return self.inner.encode(obj)

    def decode(self, content: bytes) -> Any:
        """Return what the inner codec makes of the bytes."""
        return self.inner.decode(content)

    def seal(self, namespace: str, codec: str) -> Seal:
        """Return a signature by the keys."""
        return signature(self._keys, namespace, codec)


def signature(keys: KeyRing, namespace: str, codec: str) -> Signature:
    """Return the seal that holders of these keys make, for a namespace and a codec."""
    return Signature(keys.derive(_PURPOSE), namespace, codec, time.time)
