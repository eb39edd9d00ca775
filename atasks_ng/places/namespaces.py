"""
The table of namespaces: the only state of the library that belongs to a module.

A namespace holds one codec, one transport, one router and one registry of tasks. Creating any
of them installs it here; nothing leaks from one namespace to another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .registry import Registry

if TYPE_CHECKING:
    from ..codecs.base import Codec
    from ..router import Router
    from ..transport.base import Transport


class Namespace:
    """
    What belongs together under one name.

    Attributes:
        name: The name.
        registry: The tasks defined in this namespace.
        codec: The codec created last, or ``None``.
        transport: The transport created last, or ``None``.
        router: The router, or ``None`` until the first use of ``get_router``.
    """

    __slots__ = ("codec", "name", "registry", "router", "transport")

    def __init__(self, name: str) -> None:
        self.name = name
        self.registry = Registry(name)
        self.codec: Codec | None = None
        self.transport: Transport | None = None
        self.router: Router | None = None

    def __repr__(self) -> str:
        return (
            f"<Namespace {self.name!r}: {len(self.registry)} tasks, codec {self.codec!r}, "
            f"transport {self.transport!r}>"
        )


class Namespaces:
    """All namespaces of the process, made on first use."""

    def __init__(self) -> None:
        self._by_name: dict[str, Namespace] = {}

    def get(self, name: str) -> Namespace:
        """Return the namespace, making it if it is new."""
        try:
            return self._by_name[name]
        except KeyError:
            return self._by_name.setdefault(name, Namespace(name))

    def register(self, name: str, **parts: Any) -> None:
        """Install parts (``codec``, ``transport``, ``router``) in a namespace."""
        namespace = self.get(name)
        for part, value in parts.items():
            setattr(namespace, part, value)

    def __iter__(self) -> Iterator[Namespace]:
        return iter(list(self._by_name.values()))


namespaces = Namespaces()
