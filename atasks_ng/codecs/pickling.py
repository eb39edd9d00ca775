"""What the codecs of pickles have in common: they are not used between processes without a key."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterable
from typing import Any

from ..protocol.seals import Checksum, Seal
from ..words.errors import DecodeError, OptionError
from .allow_list import AllowList, Refused
from .base import Codec
from .keys import KeyRing, KeySource
from .paths import shown
from .signed_codec import signature

logger = logging.getLogger("atasks_ng.codecs")


class PicklingCodec(Codec):
    """
    Base of the codecs whose messages run code.

    Args:
        namespace: Where to install it.
        key: A key, several, or a callable that returns them; ``None``: those in the environment.
        unsafe_no_signature: Whether messages may leave the process without a signature.
        allow: What messages may name; ``None``: anything.

    Raises:
        OptionError: A key is too short, or there is one and it need not be used; or ``allow`` lists
            what cannot be allowed.
    """

    def __init__(
        self,
        namespace: str = "default",
        *,
        key: KeySource = None,
        unsafe_no_signature: bool = False,
        allow: Iterable[str] | None = None,
    ) -> None:
        if key is not None and unsafe_no_signature:
            raise OptionError("key=... and unsafe_no_signature=True contradict each other")
        keys = KeyRing.if_given(key)
        self._loads: Callable[..., Any] = pickle.loads
        if allow is not None:
            self._loads = AllowList(allow, f"{type(self).__name__}(allow=...)").loads
        super().__init__(namespace)
        self._keys = keys
        self._unsafe_no_signature = unsafe_no_signature

    def seal(self, namespace: str, codec: str) -> Seal:
        """
        Return a signature by the keys.

        Raises:
            OptionError: There is none, and nobody has said that none is needed.
        """
        kind = type(self).__name__
        if self._keys is not None:
            return signature(self._keys, namespace, codec)
        if not self._unsafe_no_signature:
            raise OptionError(
                f"{kind} without a key would let everybody run code here who can write to the "
                f"broker: give {kind}(key=...), the same to callers and workers, or set "
                'ATASKS_NG_KEY; make a key with `python -c "import secrets; '
                'print(secrets.token_urlsafe(32))"`; where everybody who can reach the broker may '
                f"run any code, {kind}(unsafe_no_signature=True) goes without"
            )
        logger.warning(
            "namespace %r uses %s without a key: who can write to the broker can run code here",
            namespace,
            kind,
        )
        return Checksum(namespace)


def undecodable(exc: Exception) -> DecodeError:
    """Return what the failure to unpickle is told as."""
    if isinstance(exc, Refused):
        return DecodeError(str(exc))
    return DecodeError(f"these bytes cannot be unpickled: {shown(exc)}")
