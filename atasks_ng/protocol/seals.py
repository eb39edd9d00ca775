"""
Seals: what stands behind each envelope on its way, and is checked before a byte of it is read.

Law: a sealed envelope is ``body + trailer``, and the last byte of the trailer names the seal.

=========  ======================================================  ==========================
seal       trailer                                                 tells
=========  ======================================================  ==========================
checksum   CRC-32 (4 bytes), ``0x01``                              damage
signature  key id (4), milliseconds since 1970 (8), MAC (16),      damage, strangers, and what
           ``0x02``                                                was meant for others
=========  ======================================================  ==========================

Numbers are big-endian. Both cover what the message is *about*, which is not in the body:
a request, the address that its answer goes to; a message to one process, the address of that;
a message to all workers of a queue, nothing. So neither can be taken for the other, and what was
meant for one process is refused by the next.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from ..words.errors import BadMessageError, ProtocolError, SignatureError
from .pieces import Body, Pieces, parts_of

try:
    # The same sum, in a tenth of the time: it uses what processors have for that.
    from isal.isal_zlib import crc32
except ImportError:
    from zlib import crc32

#: How far, in seconds, the time in a signature may lie from now, either way. 5 min: what Kerberos
#: allows for clocks that differ.
WINDOW = 300.0

_CHECKSUM, _SIGNATURE = 1, 2
_checksum = struct.Struct(">IB")
_CHECKSUM_BYTES = _checksum.size
# Looked up once: each message needs them.
_pack, _unpack = _checksum.pack, _checksum.unpack_from
# A copy of so few costs less than a view of them.
_COPIED_BYTES = 1024
_head = struct.Struct(">4sQ")
_MAC_BYTES = 16
_SIGNATURE_BYTES = _head.size + _MAC_BYTES + 1
_DOMAIN = b"atasks_ng envelope 1"

NOT_SIGNED = (
    "it is not signed, and only signed ones are taken there: give both ends the same codec and "
    "key, by SignedCodec(..., key=...), PickleCodec(key=...) or the environment variable "
    "ATASKS_NG_KEY"
)
NO_KEY = (
    "it is signed, and there is no key there to check it: give both ends the same codec and key, "
    "by SignedCodec(..., key=...), PickleCodec(key=...) or the environment variable ATASKS_NG_KEY"
)
UNKNOWN_KEY = "it is signed with a key that is not known there: give both ends the same keys"
WRONG = (
    "its signature does not fit: it was changed on its way, or made for another namespace, codec "
    "or receiver"
)


class SigningKey(Protocol):
    """One key, as :class:`atasks_ng.codecs.keys.KeyRing` has them."""

    @property
    def id(self) -> bytes:
        """Tells which key it is, in 4 bytes."""

    @property
    def secret(self) -> bytes:
        """The key itself, of at most 64 bytes."""


class SigningKeys(Protocol):
    """Keys, the first of which is used and all of which are accepted."""

    @property
    def current(self) -> SigningKey:
        """The key to sign with."""

    def find(self, id: bytes) -> SigningKey | None:
        """Return the key of an identity, or ``None``."""


@lru_cache(maxsize=4096)
def about_request(reply_to: str) -> bytes:
    """Return what a request is about: the address that its answer goes to."""
    return _about(b"q", reply_to)


@lru_cache(maxsize=4096)
def about_process(address: str) -> bytes:
    """Return what a message to one process is about: the address of that."""
    return _about(b"p", address)


# Most messages are about the same few addresses.
_sum_of = lru_cache(maxsize=4096)(crc32)


def _about(direction: bytes, address: str) -> bytes:
    name = address.encode("utf-8", "surrogatepass")
    return direction + len(name).to_bytes(4, "big") + name


#: What a message to all workers of a queue is about.
ABOUT_WORKERS = _about(b"w", "")


class Seal:
    """
    Base of all seals; a codec may bring one of its own, see :meth:`Codec.seal`.

    Attributes:
        signs: True if nobody without a key can make it.
        takes_pieces: True if :meth:`seal` takes envelopes in pieces, and adds one; otherwise it is
            given bytes only.
    """

    signs = False
    takes_pieces = False

    def seal(self, body: Body, about: bytes) -> Body:
        """Return an envelope with its trailer."""
        raise NotImplementedError(f"{type(self).__name__} must define seal(body, about)")

    def open(self, sealed: bytes, about: bytes) -> bytes | memoryview:
        """
        Return the envelope without its trailer; a large one as a view of what was given.

        Raises:
            BadMessageError: It is damaged, or has no trailer.
            SignatureError: It is not signed by a key that is known here, for this.
        """
        raise NotImplementedError(f"{type(self).__name__} must define open(sealed, about)")

    def age(self, sealed: bytes) -> float:
        """Return how many seconds ago, by its own word, an envelope was sealed; 0 if not known."""
        return 0.0


class Checksum(Seal):
    """
    A seal against damage: any one, two or three bits, any 32 in a row, and nearly all else.

    Args:
        namespace: For sentences about what is refused.
    """

    takes_pieces = True

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def seal(self, body: Body, about: bytes) -> Body:
        if not isinstance(body, Pieces):
            return body + _pack(crc32(body, _sum_of(about)), _CHECKSUM)
        check = _sum_of(about)
        for part in body.parts:
            check = crc32(part, check)
        return body + _pack(check, _CHECKSUM)

    def open(self, sealed: bytes, about: bytes) -> bytes | memoryview:
        if len(sealed) < _CHECKSUM_BYTES:
            raise self._refusal(sealed)
        found, kind = _unpack(sealed, -_CHECKSUM_BYTES)
        small = len(sealed) <= _COPIED_BYTES
        body = (sealed if small else memoryview(sealed))[:-_CHECKSUM_BYTES]
        if kind != _CHECKSUM or crc32(body, _sum_of(about)) != found:
            raise self._refusal(sealed)
        return body

    def _refusal(self, sealed: bytes) -> ProtocolError:
        if len(sealed) >= _SIGNATURE_BYTES and sealed[-1] == _SIGNATURE:
            return SignatureError(self._namespace, NO_KEY)
        return BadMessageError(
            "its checksum does not fit: it was damaged on its way, or comes from another version"
        )


class Signature(Seal):
    """
    A seal that only holders of a key can make.

    Args:
        keys: The keys.
        namespace: Where it counts, and nowhere else.
        codec: Name of the codec that it counts for.
        clock: Returns the seconds since 1970.
    """

    signs = True
    takes_pieces = True

    def __init__(
        self, keys: SigningKeys, namespace: str, codec: str, clock: Callable[[], float]
    ) -> None:
        self._keys = keys
        self._namespace = namespace
        self._clock = clock
        self._unsigned = Checksum(namespace)
        names = (namespace.encode(), codec.encode())
        self._prefix = _DOMAIN + b"".join(len(name).to_bytes(4, "big") + name for name in names)
        #: For the key used last: the hash as it is before what differs from message to message.
        self._begun: tuple[SigningKey, hashlib.blake2b] | None = None

    def seal(self, body: Body, about: bytes) -> Body:
        key = self._keys.current
        head = _head.pack(key.id, int(self._clock() * 1000))
        return body + b"".join((head, self._mac(key, head, about, body), bytes((_SIGNATURE,))))

    def open(self, sealed: bytes, about: bytes) -> memoryview:
        end = len(sealed) - _SIGNATURE_BYTES
        if end < 0 or sealed[-1] != _SIGNATURE:
            raise self._refusal(sealed, about)
        view = memoryview(sealed)
        head = view[end : end + _head.size]
        key = self._keys.find(bytes(head[:4]))
        if key is None:
            raise SignatureError(self._namespace, UNKNOWN_KEY)
        body = view[:end]
        mac = self._mac(key, head, about, body)
        if not hmac.compare_digest(mac, view[end + _head.size : -1]):
            raise SignatureError(self._namespace, WRONG)
        return body

    def age(self, sealed: bytes) -> float:
        _, milliseconds = _head.unpack_from(sealed, len(sealed) - _SIGNATURE_BYTES)
        return self._clock() - float(milliseconds) / 1000

    def _mac(
        self, key: SigningKey, head: bytes | memoryview, about: bytes, body: Body | memoryview
    ) -> bytes:
        begun = self._begun
        if begun is None or begun[0] is not key:
            fresh = hashlib.blake2b(self._prefix, key=key.secret, digest_size=_MAC_BYTES)
            begun = self._begun = (key, fresh)
        mac = begun[1].copy()
        mac.update(b"".join((about, head)))
        for part in parts_of(body):
            mac.update(part)
        return mac.digest()

    def _refusal(self, sealed: bytes, about: bytes) -> ProtocolError:
        try:
            self._unsigned.open(sealed, about)
        except ProtocolError as exc:
            return exc
        return SignatureError(self._namespace, NOT_SIGNED)


def outdated(namespace: str, age: float) -> SignatureError:
    """Return the error about a message whose signature is not of now."""
    when = f"{age:.0f} s ago" if age >= 0 else f"{-age:.0f} s ahead of the clock here"
    return SignatureError(
        namespace,
        f"it was signed {when}, and {WINDOW:.0f} s are allowed: somebody sends old messages again, "
        "or the clocks of the two machines differ",
    )
