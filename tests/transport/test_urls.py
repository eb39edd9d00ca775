"""URLs: which transport one means, and that its password is not shown."""

from __future__ import annotations

import pytest

from atasks_ng.transport import transport_from_url
from atasks_ng.transport.backends.amqp import AMQPTransport
from atasks_ng.transport.backends.amqp.query import check_urls
from atasks_ng.transport.backends.amqp.settings import Names
from atasks_ng.transport.base import LoopbackTransport
from atasks_ng.transport.urls import mask
from atasks_ng.words.errors import BadURLError, OptionError


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("loopback://", LoopbackTransport),
        ("amqp://localhost/", AMQPTransport),
        ("amqps://user:password@broker:5671/host", AMQPTransport),
    ],
)
def test_scheme_names_the_transport(url: str, kind: type) -> None:
    assert type(transport_from_url(url)) is kind


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://guest:secret@host/", "amqp://guest:***@host/"),
        ("amqp://guest:se:cr:et@host/", "amqp://guest:***@host/"),
        ("amqp://:secret@host/", "amqp://:***@host/"),
        ("amqp://guest@host/", "amqp://guest@host/"),
        ("amqp://host/", "amqp://host/"),
        ("loopback://", "loopback://"),
        ("amqp://guest:s/e@c@host/", "amqp://guest:***@host/"),
    ],
)
def test_mask_hides_the_password(url: str, shown: str) -> None:
    assert mask(url) == shown


@pytest.mark.parametrize(
    "url",
    ["http://localhost/", "amqp:///", "amqp://host:0/", "amqp://host:65536/", "amqp://[::1/"],
)
def test_what_is_no_url_of_a_broker_is_refused(url: str) -> None:
    with pytest.raises(BadURLError) as caught:
        check_urls(url)

    assert "amqp://user:password@host:5672/virtual-host" in str(caught.value)


def test_url_that_is_refused_is_shown_without_its_password() -> None:
    with pytest.raises(BadURLError) as caught:
        transport_from_url("http://me:secret@host/")

    assert "secret" not in str(caught.value)
    assert "secret" not in repr(caught.value)


def test_option_that_the_transport_does_not_have_is_refused() -> None:
    with pytest.raises(OptionError, match="loopback:// has no option 'heartbeat'"):
        transport_from_url("loopback://", heartbeat=3)


@pytest.mark.parametrize("nested", [False, True])
def test_names_of_queues_can_be_read_back(nested: bool) -> None:
    assert Names.queue(Names.key("gpu.large", nested=nested)) == ("gpu.large", nested)
