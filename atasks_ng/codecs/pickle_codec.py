"""A codec for anything that pickle takes, between ends that trust each other."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import Any

from ..words.errors import EncodeError
from .keys import KeySource
from .paths import has_attributes, locate, shown, type_name
from .pickling import PicklingCodec, undecodable


class PickleCodec(PicklingCodec):
    """
    Values as pickles, in signed messages.

    .. warning::
       Decoding a pickle runs code of the sender's choosing: whoever has the key can do anything on
       callers and workers. Between processes, messages are therefore signed, as
       :class:`~atasks_ng.codecs.SignedCodec` has it, and the signature is checked before
       anything is unpickled. Without a key, only the loopback transport takes it.

    Args:
        namespace: Where to install it.
        protocol: As for :func:`pickle.dumps`; ``None`` is the default of this Python.
        fix_imports: As for :func:`pickle.dumps` and :func:`pickle.loads`.
        encoding: As for :func:`pickle.loads`.
        errors: As for :func:`pickle.loads`.
        key: A key, several, or a callable that returns them: see
            :class:`~atasks_ng.codecs.keys.KeyRing`. ``None``: those in ``ATASKS_NG_KEY``.
        unsafe_no_signature: True lets messages leave the process unsigned if there is no key, so
            that everybody who can write to the broker can run code here; the log says so
            at each start.
        allow: What messages may name beside harmless built-in types: modules, as ``"shop.models"``,
            with all that they and those below them define, and full names, as
            ``"decimal.Decimal"``. All else is refused where it arrives, at callers and workers
            alike. ``None`` sets no limit. A second fence behind the signature, not one that
            strangers may come to: what is listed can be called with any arguments.

    Raises:
        OptionError: A key is too short, or given although none need be used; or ``allow`` lists
            what is no name.
    """

    def __init__(
        self,
        namespace: str = "default",
        protocol: int | None = None,
        fix_imports: bool = True,
        encoding: str = "ASCII",
        errors: str = "strict",
        *,
        key: KeySource = None,
        unsafe_no_signature: bool = False,
        allow: Iterable[str] | None = None,
    ) -> None:
        super().__init__(namespace, key=key, unsafe_no_signature=unsafe_no_signature, allow=allow)
        self.protocol = protocol
        self.fix_imports = fix_imports
        self.encoding = encoding
        self.errors = errors

    def encode(self, obj: Any) -> bytes:
        """
        Return the pickle of a value.

        Raises:
            EncodeError: Some part of it cannot be pickled; the sentence tells where it sits.
        """
        try:
            return self._dumps(obj)
        except Exception as exc:
            path, part = locate(obj, self._is_encodable, has_attributes)
            raise EncodeError(
                f"{path}: a value of type {type_name(type(part))} cannot be pickled "
                f"({shown(exc)}): pass data instead, or use CloudpickleCodec"
            ) from exc

    def decode(self, content: bytes) -> Any:
        """
        Return the value of a pickle, and run the code in it.

        Raises:
            DecodeError: It is no pickle, or names what does not exist or is not allowed here.
        """
        # A name of its own: to call an attribute of an instance takes longer.
        loads = self._loads
        try:
            return loads(
                content, fix_imports=self.fix_imports, encoding=self.encoding, errors=self.errors
            )
        except Exception as exc:
            raise undecodable(exc) from exc

    def _dumps(self, obj: Any) -> bytes:
        return pickle.dumps(obj, protocol=self.protocol, fix_imports=self.fix_imports)

    def _is_encodable(self, part: Any) -> bool:
        try:
            self._dumps(part)
        except Exception:
            return False
        return True
