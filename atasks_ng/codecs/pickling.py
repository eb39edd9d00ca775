"""What the codecs of pickles have in common: they are not used between processes without a key."""

from __future__ import annotations

import logging

from ..protocol.seals import Checksum, Seal
from ..words.errors import OptionError
from .base import Codec
from .keys import KeyRing, KeySource
from .signed_codec import signature

logger = logging.getLogger("atasks_ng.codecs")


class PicklingCodec(Codec):
    """
    Base of the codecs whose messages run code.

    Args:
        namespace: Where to install it.
        key: A key, several, or a callable that returns them; ``None``: those in the environment.
        unsafe_no_signature: Whether messages may leave the process without a signature.

    Raises:
        OptionError: A key is too short, or there is one and it need not be used.
    """

    def __init__(
        self,
        namespace: str = "default",
        *,
        key: KeySource = None,
        unsafe_no_signature: bool = False,
    ) -> None:
        if key is not None and unsafe_no_signature:
            raise OptionError("key=... and unsafe_no_signature=True contradict each other")
        keys = KeyRing.if_given(key)
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
