"""Which transport a URL means."""

from __future__ import annotations

import importlib
import inspect
import os
import re
from collections.abc import Callable
from typing import Any

from ..words.errors import BadURLError, OptionError
from .base import Transport

#: The environment variable that holds the default URL.
URL_VARIABLE = "ATASKS_NG_URL"
DEFAULT_URL = "loopback://"

Factory = Callable[..., Transport]

# Named, not imported: a program that stays in one process never loads an AMQP client.
_BACKENDS = {
    "loopback": ("atasks_ng.transport.backends.loopback", "LoopbackTransport"),
    "amqp": ("atasks_ng.transport.backends.amqp", "AMQPTransport"),
    "amqps": ("atasks_ng.transport.backends.amqp", "AMQPTransport"),
}
_registered: dict[str, Factory] = {}

_FALSE, _TRUE = ("0", "no", "off", "false"), ("1", "yes", "on", "true")


def default_url() -> str:
    """Return the URL to use when none is given: ``$ATASKS_NG_URL``, or ``loopback://``."""
    return os.environ.get(URL_VARIABLE) or DEFAULT_URL


def register_scheme(scheme: str, factory: Factory) -> None:
    """
    Make a transport of your own reachable by URL.

    Args:
        scheme: What stands before ``://``.
        factory: Called as ``factory(namespace=..., url=..., **options)``; returns the transport.
    """
    _registered[scheme] = factory


def transport_from_url(url: str, namespace: str = "default", **options: Any) -> Transport:
    """
    Create the transport that a URL names; it is installed, not connected.

    Args:
        url: ``loopback://``, ``amqp://user:password@host:port/vhost``, ``amqps://…``, or one of a
            registered scheme. Several brokers of one cluster are separated by commas.
        namespace: Where to install it.
        options: Further arguments of the transport's class.

    Raises:
        BadURLError: The URL has no known scheme, or the transport refuses it.
        OptionError: The transport has no such option.
    """
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise BadURLError(mask(url), f"it has no scheme; {_schemes()}")
    factory = _registered.get(scheme)
    if factory is None:
        try:
            module, name = _BACKENDS[scheme]
        except KeyError:
            reason = f"no transport has the scheme {scheme!r}; {_schemes()}"
            raise BadURLError(mask(url), reason) from None
        factory = getattr(importlib.import_module(module), name)
    _refuse_unknown(scheme, factory, options)
    return factory(namespace=namespace, url=url, **options)


def _refuse_unknown(scheme: str, factory: Factory, options: dict[str, Any]) -> None:
    parameters = inspect.signature(factory).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return
    known = [each.name for each in parameters if each.name not in ("namespace", "url")]
    for name in options:
        if name not in known:
            allowed = f"the options are {', '.join(known)}" if known else "it has none"
            raise OptionError(f"{scheme}:// has no option {name!r}: {allowed}")


def flag(told: str) -> bool:
    """Return what an option in the query of a URL says that is on or off, or raise ValueError."""
    if told.lower() not in _TRUE + _FALSE:
        raise ValueError(f"give one of {', '.join(_FALSE + _TRUE)}")
    return told.lower() in _TRUE


def split_urls(text: str) -> list[str]:
    """Return the URLs in a text that separates them by commas; a password may have one, too."""
    return [each.strip() for each in re.split(r",(?=\s*[a-z][a-z0-9+.-]*://)", text)]


def mask(url: str) -> str:
    """
    Return a URL, or several, with their passwords replaced by ``***``.

    What is no URL may have a password, too: what could be one is not shown, either.
    """
    return ",".join(map(_mask, split_urls(url)))


def mask_words(text: str) -> str:
    """Return a text, with the passwords in it replaced where it quotes URLs."""
    return re.sub(r"\S*(?:://|@)\S*", lambda word: mask(word[0]), text)


def _mask(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    # Up to the last "@": a password may have one that should have been escaped.
    login, at, place = rest.rpartition("@")
    if not at:
        # amqp://user:password, whose host was forgotten
        return re.sub(r"(://[^:/?#\[]*):(?!\d*(?:[/?#]|\Z)).*", r"\1:***", url, flags=re.DOTALL)
    if not separator:
        return f"***@{place}"
    user, colon, _ = login.partition(":")
    return f"{scheme}://{user}:***@{place}" if colon else url


def _schemes() -> str:
    known = sorted({*_BACKENDS, *_registered})
    return "use one that begins with " + ", ".join(f"{scheme}://" for scheme in known)
