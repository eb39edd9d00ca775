"""
Fixtures for every test: where the broker is, and what to do when there is none.

A test that takes ``amqp_url`` or ``private_broker``, itself or through another fixture, is marked
``amqp``. A fixture that asks for them by name while it runs is not seen; give such a parameter the
mark: ``pytest.param("amqp", marks=pytest.mark.amqp)``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from atasks_ng.places.namespaces import namespaces
from atasks_ng.testing.broker import HOW_TO_INSTALL, PrivateBroker, find_server

_BROKER_FIXTURES = {"amqp_url", "private_broker"}

# No deadline: how long one example takes says more about the machine than about the code, and so
# does how long it takes to make one.
settings.register_profile(
    "atasks_ng", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("atasks_ng")


# Before pytest's own selection by mark (-m "not amqp"), which reads what is set here.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _BROKER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.amqp)
    # First those that wait for brokers: where tests run side by side, the others fill the gaps.
    items.sort(key=lambda item: item.get_closest_marker("amqp") is None)


@pytest.fixture(autouse=True)
def fresh_namespaces() -> Iterator[None]:
    """Begin and end each test without codecs, transports and routers; tasks stay defined."""
    _reset_namespaces()
    yield
    _reset_namespaces()


def _reset_namespaces() -> None:
    for namespace in namespaces:
        namespace.codec = namespace.transport = namespace.router = None


def _need_server() -> None:
    if find_server() is not None:
        return
    reason = f"no rabbitmq-server on this machine: {HOW_TO_INSTALL}"
    # A laptop may do without; where all tests must run, a missing server is a failure.
    if os.environ.get("ATASKS_NG_REQUIRE_AMQP") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def amqp_url() -> Iterator[str]:
    """The URL of a broker that all tests share: $ATASKS_NG_TEST_URL, or a private one."""
    if url := os.environ.get("ATASKS_NG_TEST_URL"):
        yield url
        return
    _need_server()
    with PrivateBroker() as broker:
        yield broker.url


@pytest.fixture
def private_broker() -> Iterator[Callable[..., PrivateBroker]]:
    """
    Start brokers that the test may kill, stop, restart or freeze; they end with it.

    ``private_broker()`` returns a running one, ``private_broker({"consumer_timeout": 5000})`` one
    with these lines in its rabbitmq.conf.
    """
    _need_server()
    with ExitStack() as brokers:

        def start(config: Mapping[str, object] | None = None) -> PrivateBroker:
            return brokers.enter_context(PrivateBroker(config))

        yield start
