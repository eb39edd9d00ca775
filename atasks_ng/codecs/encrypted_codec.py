"""A codec around another one that hides what it makes from whoever carries it."""

from __future__ import annotations

import os
from collections.abc import Awaitable
from typing import Any

from ..words.errors import DecodeError, OptionError
from ..words.modules import import_extra
from .base import Codec
from .keys import KEY_ID_BYTES, Key, KeyRing, KeySource

# 96 bits: the only length that GCM takes as it is.
_NONCE_BYTES = 12
_TAG_BYTES = 16
_HEAD_BYTES = KEY_ID_BYTES + _NONCE_BYTES

#: How many bytes a message is longer for being encrypted.
OVERHEAD_BYTES = _HEAD_BYTES + _TAG_BYTES

_DOMAIN = b"atasks_ng payload 1"


class EncryptedCodec(Codec):
    """
    Values as another codec has them, encrypted: the broker sees that, and how much, but not what.

    AES-256 in GCM, with a random nonce for each message; 32 bytes more each. Arguments, results,
    items, exceptions and propagated context variables are hidden. Names of tasks and
    queues, identities, times and sizes are not, nor are the messages of cancels, nor what a worker
    says when it refuses a call. Both ends must use it around the same codec, in the same
    namespace, with a key in common; it is as safe, and carries the same, as the codec inside.

    A payload is not bound to its call: whoever carries messages can still repeat one, or put it in
    the place of another. :class:`~atasks_ng.codecs.SignedCodec` around it ends that.

    Needs ``pip install 'atasks_ng[crypto]'``.

    Args:
        inner: Makes the bytes; its methods may be plain or ``async``.
        key: As for :class:`~atasks_ng.codecs.KeyRing`: text or bytes, several of them, or a
            callable; the first encrypts, all decrypt. ``None``: those in the environment variable
            ``ATASKS_NG_KEY``. One key is good for 2**32 messages of all its holders
            together; change it before that.
        namespace: Where to install this one; ``None`` is that of the inner codec, whose place it
            takes.

    Raises:
        OptionError: The codec is none, there is no key, one is too short, or the package
            ``cryptography`` is not installed.
    """

    inner: Codec

    def __init__(self, inner: Codec, key: KeySource = None, namespace: str | None = None) -> None:
        if not isinstance(inner, Codec):
            raise OptionError(f"EncryptedCodec() wants a codec, not {type(inner).__qualname__}")
        aead = import_extra(
            "cryptography.hazmat.primitives.ciphers.aead", "crypto", "EncryptedCodec"
        )
        errors = import_extra("cryptography.exceptions", "crypto", "EncryptedCodec")
        self._cipher: Any = aead.AESGCM
        self._invalid: Any = errors.InvalidTag
        self._ring = KeyRing(key).derive("encryption")
        self._keys: tuple[Key, ...] = ()
        self._ciphers: dict[bytes, Any] = {}
        super().__init__(inner.namespace if namespace is None else namespace)
        self.inner = inner
        self.name = f"{type(self).name}({inner.name})"
        # What was meant for another namespace or another codec does not decrypt.
        parts = (self.namespace.encode(), self.name.encode())
        self._about = _DOMAIN + b"".join(len(part).to_bytes(4, "big") + part for part in parts)

    def encode(self, obj: Any) -> bytes | Awaitable[bytes]:
        """
        Return the bytes of the inner codec, encrypted.

        Raises:
            EncodeError: The inner codec cannot encode the value.
        """
        content = self.inner.encode(obj)
        return self._encrypted(content) if isinstance(content, bytes) else self._later(content)

    def decode(self, content: bytes) -> Any:
        """
        Return what the inner codec makes of the bytes, decrypted.

        Raises:
            DecodeError: They were changed, or do not come from this codec with one of the keys.
        """
        return self.inner.decode(self._decrypted(content))

    async def _later(self, content: Awaitable[bytes]) -> bytes:
        return self._encrypted(await content)

    def _encrypted(self, content: bytes) -> bytes:
        ciphers = self._current_ciphers()
        id = self._keys[0].id
        nonce = os.urandom(_NONCE_BYTES)
        return b"".join((id, nonce, ciphers[id].encrypt(nonce, content, self._about)))

    def _decrypted(self, content: bytes) -> bytes:
        view = memoryview(content)
        cipher = self._current_ciphers().get(bytes(view[:KEY_ID_BYTES]))
        if cipher is not None and len(view) >= OVERHEAD_BYTES:
            try:
                plain: bytes = cipher.decrypt(
                    view[KEY_ID_BYTES:_HEAD_BYTES], view[_HEAD_BYTES:], self._about
                )
                return plain
            except self._invalid:
                pass
        # One sentence for all: what is wrong is nobody's business but that of who has the key.
        raise DecodeError(
            "these bytes cannot be decrypted: the key, the namespace or the codec differ between "
            "caller and worker (give both the same), or the message was changed on its way"
        )

    def _current_ciphers(self) -> dict[bytes, Any]:
        """Return the ciphers by the identities of their keys."""
        keys = self._ring.keys
        if keys is not self._keys:
            # The first of two keys that share an identity is the one that is used.
            self._ciphers = {key.id: self._cipher(key.secret) for key in reversed(keys)}
            self._keys = keys
        return self._ciphers
