"""
The codec seam: values to bytes and back.

A codec guarantees:

* ``decode(encode(value))`` is ``value`` again, in the types that the codec names.
* What it cannot encode raises (``EncodeError``, or any exception, which the router wraps in
  one); it never returns bytes for another value.
* ``decode`` of bytes that it did not make raises (``DecodeError`` or any exception); it never
  hangs. Whether it may execute code of the sender's choosing is said by each class.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from ..places.namespaces import namespaces


class Codec:
    """
    Base of all codecs. Creating one installs it in its namespace.

    To write your own, subclass it and define ``encode`` and ``decode``, both plain or both
    ``async``. Both ends of a call must use the same codec: its :attr:`name` travels with each
    message and is compared.

    Args:
        namespace: Where to install it.
    """

    #: Name that travels with each message; by default the name of the class.
    name: str = "Codec"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__name__

    def __init__(self, namespace: str = "default") -> None:
        self.namespace = namespace
        namespaces.register(namespace, codec=self)

    def encode(self, obj: Any) -> bytes | Awaitable[bytes]:
        """
        Return the bytes that stand for a value.

        Args:
            obj: A tuple ``(args, kwargs)`` for a call, the value for a result, a tree of plain
                dicts, lists, strings and the exception's own arguments for a failure.

        Raises:
            EncodeError: The value has no form in this codec.
        """
        raise NotImplementedError(f"{type(self).__name__} must define encode(obj)")

    def decode(self, content: bytes) -> Any:
        """
        Return the value that bytes stand for.

        Args:
            content: What ``encode`` returned, on this machine or another.

        Raises:
            DecodeError: The bytes are not of this codec.
        """
        raise NotImplementedError(f"{type(self).__name__} must define decode(content)")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.namespace!r}>"


def get_codec(namespace: str = "default") -> Codec | None:
    """Return the codec of a namespace, or ``None`` if none was created."""
    return namespaces.get(namespace).codec
