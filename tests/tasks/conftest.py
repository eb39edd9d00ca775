"""A namespace of its own for each test, and a connection to it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from atasks_ng import connect


@pytest.fixture
def namespace() -> str:
    return f"tasks-{uuid.uuid4().hex}"


@pytest.fixture
async def connected(namespace: str) -> AsyncIterator[str]:
    """The namespace of the test, connected to a loopback."""
    async with connect("loopback://", namespace=namespace):
        yield namespace
