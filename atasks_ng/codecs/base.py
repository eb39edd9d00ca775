"""
The codec seam: values to bytes and back.

A codec guarantees:

* ``decode(encode(value))`` is ``value`` again, in the types that the codec names.
* What it cannot encode raises (``EncodeError``, or any exception, which the router wraps in
  one); it never returns bytes for another value.
* ``decode`` of bytes that it did not make raises (``DecodeError`` or any exception); it never
  hangs. Whether it may execute code of the sender's choosing is said by each class.

Between processes, a message is decoded only when its seal is whole: :meth:`Codec.seal`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from ..places.namespaces import namespaces
from ..protocol.seals import Checksum, Seal


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

    def seal(self, namespace: str, codec: str) -> Seal:
        """
        Return what guards the messages of a namespace between processes.

        It is asked for when a transport that leaves this process meets the codec. By default it is
        that of the codec around which this one is wrapped, if it has one in its attribute
        ``inner``, else a checksum against damage. A codec that must not be used without
        a key says so here.

        Args:
            namespace: The namespace of the transport.
            codec: Name of the outermost codec, which travels with each message.

        Raises:
            OptionError: The codec needs what it was not given.
        """
        inner = getattr(self, "inner", None)
        return inner.seal(namespace, codec) if isinstance(inner, Codec) else Checksum(namespace)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.namespace!r}>"


def get_codec(namespace: str = "default") -> Codec | None:
    """Return the codec of a namespace, or ``None`` if none was created."""
    return namespaces.get(namespace).codec
