"""URLs: which transport one means, and that its password is not shown."""

from __future__ import annotations

import traceback

import pytest

from atasks_ng.transport import transport_from_url
from atasks_ng.transport.backends.amqp import AMQPTransport
from atasks_ng.transport.backends.amqp.query import check_urls
from atasks_ng.transport.backends.amqp.settings import Names
from atasks_ng.transport.base import LoopbackTransport
from atasks_ng.transport.urls import mask, mask_words
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
        ("amqp://gu/est:secret@host/", "amqp://gu/est:***@host/"),
        ("amqp://guest:sec\nret@host/", "amqp://guest:***@host/"),
        ("amqp://guest:secret", "amqp://guest:***"),
        ("amqp://host:5672", "amqp://host:5672"),
        ("amqp://[::1]:5672/", "amqp://[::1]:5672/"),
        ("guest:secret@host", "***@host"),
        ("amqp:guest:secret@host/", "***@host/"),
        ("amqp://a:secret@x/,amqp://b:secret@y/", "amqp://a:***@x/,amqp://b:***@y/"),
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


def test_mask_words_hides_the_passwords_in_a_sentence() -> None:
    text = "no arguments: --ulr amqp://me:secret@host/ --url=amqp://me:secret me:secret@host, ok"

    shown = "no arguments: --ulr amqp://me:***@host/ --url=amqp://me:*** ***@host, ok"
    assert mask_words(text) == shown


# What becomes of a password that was not escaped: a port, a path, a query, the part after '#', the
# name of an option; and what the parsers of URLs quote in their errors.
@pytest.mark.parametrize(
    "url",
    [
        "amqp://me:12/secret@host/",
        "amqp://me:12?secret@host/",
        "amqp://me:12#secret@host/",
        "amqp://me:12?secret=1@host/",
        "amqp://me:p@host/secret@host/",
        "amqp://me:secret/x@host/",
        "amqp://me:secret[x@host/",
        "amqp://me:secret\u2100@host/",
        "amqp://me:secret",
        "me:secret@host",
        "amqp:me:secret@host/",
        "amqp://me:secret@host:port/",
        "amqp://host/?password=secret",
    ],
)
def test_url_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(BadURLError) as caught:
        transport_from_url(url)

    shown = "".join(traceback.format_exception(caught.value))
    assert "secret" not in shown + repr(caught.value) + repr(caught.value.__context__)


def test_option_that_the_transport_does_not_have_is_refused() -> None:
    with pytest.raises(OptionError, match="loopback:// has no option 'heartbeat'"):
        transport_from_url("loopback://", heartbeat=3)


@pytest.mark.parametrize("nested", [False, True])
def test_names_of_queues_can_be_read_back(nested: bool) -> None:
    assert Names.queue(Names.key("gpu.large", nested=nested)) == ("gpu.large", nested)
