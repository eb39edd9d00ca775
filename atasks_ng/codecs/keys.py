"""Keys that callers and workers share: several at once, so that one can take another's place."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from ..words.errors import OptionError

logger = logging.getLogger("atasks_ng.codecs")

#: What holds the keys where none are given in the program, one or several parted by commas.
VARIABLE = "ATASKS_NG_KEY"

#: 128 bits: the least that cannot be tried out.
MIN_KEY_BYTES = 16
KEY_ID_BYTES = 4

# How long the answer of a callable counts, in seconds.
_ASK_EVERY = 60.0
_DERIVED_BYTES = 32

Keys: TypeAlias = str | bytes | Sequence[str | bytes]
KeySource: TypeAlias = "Keys | Callable[[], Keys] | KeyRing | None"

_HOW_TO_MAKE_ONE = (
    'make one with `python -c "import secrets; print(secrets.token_urlsafe(32))"` and give it to '
    "callers and workers alike"
)
_HOW_TO_GIVE_ONE = f"give key=... or set {VARIABLE}; {_HOW_TO_MAKE_ONE}"


class Key:
    """
    One key.

    Attributes:
        id: Tells which of several keys was used, and nothing that would help to guess it.
        secret: The key itself; shown nowhere.
    """

    __slots__ = ("id", "secret")

    def __init__(self, secret: bytes) -> None:
        self.id = hashlib.blake2b(
            secret, digest_size=KEY_ID_BYTES, person=b"atasks_ng key id"
        ).digest()
        self.secret = secret

    def __repr__(self) -> str:
        return f"<Key {self.id.hex()}>"

    def __reduce__(self) -> str:
        raise TypeError("keys are not pickled: give the other process a key of its own")


class KeyRing:
    """
    Some keys, of which the first is used and all are accepted.

    To change keys without a pause: give all processes the new key behind the old one, then
    the new one before the old one, then the new one alone.

    Args:
        key: A key, as ``str`` or ``bytes`` of at least 16 bytes; a sequence of keys; or a
            callable that returns one of these. A callable is called now, and again at
            most once a minute when keys are needed; what it raises then is logged, and the keys
            that it returned last stay. It is called on the event loop and should return at once.
            ``None``: the keys in the environment variable ``ATASKS_NG_KEY``, parted by commas,
            as they are now.
        clock: Returns the time in seconds; replaced in tests.

    Raises:
        OptionError: There is no key, or one is too short or of another type.
    """

    __slots__ = ("_by_id", "_keys", "_purpose", "_secrets", "_source")

    def __init__(
        self, key: KeySource = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source: _Source
        self._purpose: bytes
        if isinstance(key, KeyRing):
            self._source, self._purpose = key._source, key._purpose
        else:
            self._source, self._purpose = _Source(_given(key), clock), b""
        self._secrets: tuple[bytes, ...] | None = None
        self._refresh()

    @classmethod
    def if_given(cls, key: KeySource = None) -> KeyRing | None:
        """Return a ring of these keys, or of those in the environment; ``None`` without any."""
        if key is None and not os.environ.get(VARIABLE, "").strip():
            return None
        return cls(key)

    def derive(self, purpose: str) -> KeyRing:
        """
        Return a ring of other keys, made from these for one purpose.

        Nothing about these keys, or those of another purpose, follows from them.

        Args:
            purpose: Any text; the same one makes the same keys in every process.
        """
        derived = KeyRing.__new__(KeyRing)
        name = purpose.encode()
        derived._source = self._source
        derived._purpose = self._purpose + len(name).to_bytes(4, "big") + name
        derived._secrets = None
        derived._refresh()
        return derived

    @property
    def current(self) -> Key:
        """The key to use."""
        self._refresh()
        return self._keys[0]

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys that are accepted, that to use first."""
        self._refresh()
        return self._keys

    def find(self, id: bytes) -> Key | None:
        """Return the key of an identity, or ``None`` if it is not on the ring."""
        self._refresh()
        return self._by_id.get(id)

    def _refresh(self) -> None:
        secrets = self._source()
        if secrets is not self._secrets:
            self._keys = tuple(Key(_derived(secret, self._purpose)) for secret in secrets)
            self._by_id = {key.id: key for key in self._keys}
            self._secrets = secrets

    def __repr__(self) -> str:
        ids = ", ".join(key.id.hex() for key in self._keys)
        return f"<KeyRing of {ids}>"

    def __reduce__(self) -> str:
        raise TypeError("keys are not pickled: give the other process a ring of its own")


class _Source:
    """What a ring is made of: the same tuple, until the keys change."""

    def __init__(self, given: Keys | Callable[[], Keys], clock: Callable[[], float]) -> None:
        self._ask = given if callable(given) else None
        self._clock = clock
        self._secrets = _checked(given() if callable(given) else given)
        self._asked = clock()

    def __call__(self) -> tuple[bytes, ...]:
        if self._ask is not None and self._clock() - self._asked >= _ASK_EVERY:
            self._asked = self._clock()
            self._ask_again(self._ask)
        return self._secrets

    def _ask_again(self, ask: Callable[[], Keys]) -> None:
        try:
            secrets = _checked(ask())
        except Exception as exc:
            # Neither its text nor its traceback: either may hold a key.
            name = type(exc).__name__
            logger.error("the callable that returns keys raised %s: the last ones stay", name)
            return
        if secrets != self._secrets:
            self._secrets = secrets


def _given(key: Keys | Callable[[], Keys] | None) -> Keys | Callable[[], Keys]:
    if key is not None:
        return key
    found = os.environ.get(VARIABLE, "")
    return [part for part in (part.strip() for part in found.split(",")) if part]


def _checked(keys: Keys) -> tuple[bytes, ...]:
    several = [keys] if isinstance(keys, (str, bytes)) else keys
    if not isinstance(several, Sequence):
        raise OptionError(f"a key is text, bytes or a sequence of them, not {_type(keys)}")
    if not several:
        raise OptionError(f"there is no key: {_HOW_TO_GIVE_ONE}")
    return tuple(map(_as_bytes, several))


def _as_bytes(key: str | bytes) -> bytes:
    if not isinstance(key, (str, bytes)):
        raise OptionError(f"a key is text or bytes, not {_type(key)}")
    secret = key.encode() if isinstance(key, str) else key
    if len(secret) < MIN_KEY_BYTES:
        raise OptionError(
            f"a key of {len(secret)} bytes is too short, {MIN_KEY_BYTES} are the least: "
            + _HOW_TO_MAKE_ONE
        )
    return secret


def _type(value: object) -> str:
    return type(value).__qualname__


def _derived(secret: bytes, purpose: bytes) -> bytes:
    if not purpose:
        return secret
    root = hashlib.blake2b(secret, person=b"atasks_ng root").digest()
    return hashlib.blake2b(
        purpose, key=root, digest_size=_DERIVED_BYTES, person=b"atasks_ng derive"
    ).digest()
