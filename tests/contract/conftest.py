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
def router_options() -> dict[str, Any]:
    """Options of the router; a test that needs others is parametrized with them."""
    return {}


@pytest.fixture
def key() -> str:
    """The page of the journal that belongs to this test."""
    return uuid.uuid4().hex


@pytest.fixture(params=params(TRANSPORTS))
async def world(
    request: pytest.FixtureRequest,
    get_broker: Callable[[], Broker],
    router_options: dict[str, Any],
) -> AsyncIterator[World]:
    """Every transport, with the default codec."""
    async with open_world(request.param, 100, get_broker, **router_options) as world:
        yield world


@pytest.fixture(params=params(TRANSPORTS))
async def narrow_world(
    request: pytest.FixtureRequest,
    get_broker: Callable[[], Broker],
    router_options: dict[str, Any],
) -> AsyncIterator[World]:
    """Every transport, one worker, one slot."""
    async with open_world(request.param, 1, get_broker, **router_options) as world:
        yield world


@pytest.fixture(params=params(TRANSPORTS, but="remote"))
async def near_world(
    request: pytest.FixtureRequest,
    get_broker: Callable[[], Broker],
    router_options: dict[str, Any],
) -> AsyncIterator[World]:
    """Every transport whose worker is in this process, so that a test can look inside."""
    async with open_world(request.param, 100, get_broker, **router_options) as world:
        yield world


@pytest.fixture(params=params(TRANSPORTS, but="own"))
async def streaming_world(
    request: pytest.FixtureRequest,
    get_broker: Callable[[], Broker],
    router_options: dict[str, Any],
) -> AsyncIterator[World]:
    """Every transport that carries async generators."""
    async with open_world(request.param, 100, get_broker, **router_options) as world:
        yield world


@pytest.fixture(params=params(PAIRS))
async def coded_world(
    request: pytest.FixtureRequest,
    get_broker: Callable[[], Broker],
    router_options: dict[str, Any],
) -> AsyncIterator[World]:
    """Every transport, with every codec."""
    async with open_world(request.param, 100, get_broker, **router_options) as world:
        yield world


@pytest.fixture(params=params(PAIRS, but="json"))
async def exact_world(
    request: pytest.FixtureRequest,
    get_broker: Callable[[], Broker],
    router_options: dict[str, Any],
) -> AsyncIterator[World]:
    """Every transport, with every codec that keeps the types of values."""
    async with open_world(request.param, 100, get_broker, **router_options) as world:
        yield world
