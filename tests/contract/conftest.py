"""Fixtures of the contract: each test runs in every world that its fixture names."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from tests.contract.worlds import (
    PAIRS,
    TRANSPORTS,
    Broker,
    World,
    open_broker,
    open_world,
    params,
)


@pytest.fixture(scope="session")
def broker(amqp_url: str) -> Iterator[Broker]:
    """The broker of this session."""
    with open_broker(amqp_url) as broker:
        yield broker


@pytest.fixture
def get_broker(request: pytest.FixtureRequest) -> Callable[[], Broker]:
    """Return the broker, which is started when it is asked for first."""
    return lambda: request.getfixturevalue("broker")


@pytest.fixture
def key() -> str:
    """The page of the journal that belongs to this test."""
    return uuid.uuid4().hex


@pytest.fixture
def router_options() -> dict[str, Any]:
    """Options of the router; a test that needs others is parametrized with them."""
    return {}


def _fixture(places: list[Any], concurrency: int = 100) -> Any:
    """Return a fixture that opens each of the places in turn."""

    @pytest.fixture(params=places)
    async def world(
        request: pytest.FixtureRequest,
        get_broker: Callable[[], Broker],
        router_options: dict[str, Any],
    ) -> AsyncIterator[World]:
        async with open_world(request.param, concurrency, get_broker, **router_options) as world:
            yield world

    return world


# Every transport, with the default codec.
world = _fixture(params(TRANSPORTS))

# The same with one worker and one slot.
narrow_world = _fixture(params(TRANSPORTS), concurrency=1)

# Those whose worker is in this process, so that a test can look inside, or define tasks.
near_world = _fixture(params(TRANSPORTS, but="remote"))

# Those that carry async generators.
streaming_world = _fixture(params(TRANSPORTS, but="own"))

# Every transport, with every codec.
coded_world = _fixture(params(PAIRS))

# With every codec that keeps the types of values.
exact_world = _fixture(params(PAIRS, but="json"))

# With every codec that takes anything that can be pickled.
pickling_world = _fixture(params(PAIRS, but="json msgpack encrypted signed"))

# Async generators, with every codec.
coded_streaming_world = _fixture(params(PAIRS, but="own"))

# The transport that a user wrote.
own_world = _fixture(params(TRANSPORTS, but="loopback amqp remote"))

# The transport within one event loop.
loopback_world = _fixture(params(TRANSPORTS, but="own amqp remote"))

# Those whose worker is in this process and can hand back, with one slot.
narrow_near_world = _fixture(params(TRANSPORTS, but="own remote"), concurrency=1)
