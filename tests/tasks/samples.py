"""Tasks at the level of a module, where pickle finds them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from atasks_ng import atask

NAMESPACE = "samples"


@atask(namespace=NAMESPACE)
async def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


@atask(namespace=NAMESPACE)
async def count(n: int) -> AsyncIterator[int]:
    """Count up."""
    for i in range(n):
        yield i


class Numbers:
    """A place for tasks."""

    @staticmethod
    @atask(namespace=NAMESPACE)
    async def double(x: int) -> int:
        return 2 * x
