"""What the URLs of brokers say besides where they are: options of the transport."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from yarl import URL

from ....words.errors import BadURLError
from ...urls import flag, mask, split_urls

_FORM = "the form is amqp://user:password@host:5672/virtual-host"
_UNREADABLE = "its host cannot be read, or its port is no number or out of range"
_HINT = "characters like '/', '@', '?' or '#' are written as %2F, %40, %3F, %23"

# In a password that was not escaped. What follows would be shown as a port, a virtual host or the
# name of an option.
_AFTER_HOST = re.compile(r"://[^/?#]*(?:#|[/?].*[@#])", re.DOTALL)

#: What aiormq takes from a URL.
_OF_AIORMQ = (
    *("auth", "cadata", "cafile", "capath", "certfile", "keyfile"),
    *("name", "no_verify_ssl", "timeout"),
)


def check_urls(text: str) -> list[URL]:
    """
    Return the URLs in a text.

    Raises:
        BadURLError: One is no URL of a broker, or they are not of one cluster; with the reason, and
            the passwords masked.
    """
    urls = [_check(each) for each in split_urls(text)]
    if len({url.path.strip("/") for url in urls}) > 1:
        reason = "several URLs must name one virtual host: they are brokers of one cluster"
        raise BadURLError(mask(text), reason)
    return urls


def _check(text: str) -> URL:
    url = _parsed(text)
    if url is None:
        # Not while the cause is handled: that can quote a part of the password, and would stay with
        # this error as its context.
        raise BadURLError(mask(text), f"{_UNREADABLE}; {_FORM}; {_HINT}")
    if _AFTER_HOST.search(text):
        reason = f"there is an '@' or a '#' behind its host; {_FORM}; {_HINT}"
        raise BadURLError(mask(text), reason)
    if url.scheme not in ("amqp", "amqps"):
        raise BadURLError(mask(text), f"its scheme is not amqp or amqps; {_FORM}")
    if not url.host:
        raise BadURLError(mask(text), f"it names no host; {_FORM}")
    if url.port is not None and not 0 < url.port < 65536:
        raise BadURLError(mask(text), f"its port is out of range; {_FORM}")
    return url


def _parsed(text: str) -> URL | None:
    try:
        url = URL(text)
        url.port  # noqa: B018  # read late by some versions of yarl
    except ValueError:
        return None
    return url


def take_options(text: str) -> tuple[str, dict[str, Any]]:
    """
    Take options of the transport out of the query of URLs.

    Args:
        text: One URL, or several with commas between.

    Returns:
        The URLs without them, and the options: those that any of the URLs gives.

    Raises:
        BadURLError: An option is unknown or no such value, or the URLs differ in one.
    """
    options: dict[str, Any] = {}
    rest = []
    for url in check_urls(text):
        for name, told in url.query.items():
            if name in _OF_AIORMQ:
                continue
            value = _value(text, name, told)
            if options.setdefault(name, value) != value:
                raise BadURLError(mask(text), f"its parts give different values of {name}")
        rest.append(str(url.without_query_params(*_READ)))
    return ",".join(rest), options


def _value(text: str, name: str, told: str) -> Any:
    try:
        read = _READ[name]
    except KeyError:
        known = ", ".join((*_READ, *_OF_AIORMQ))
        # Without its query: who mistakes the place for a password's must not find it in a log.
        shown = mask(re.sub(r"\?[^,]*", "", text))
        raise BadURLError(shown, f"it has no option {name!r}: they are {known}") from None
    try:
        return read(told)
    except ValueError as exc:
        raise BadURLError(mask(text), f"{name}={told!r}: {exc}") from None


def _whole(told: str) -> int:
    try:
        return int(told)
    except ValueError:
        raise ValueError("give a whole number") from None


def _seconds(told: str) -> float:
    try:
        return float(told)
    except ValueError:
        raise ValueError("give a number of seconds") from None


# Not those that a URL must not have: credentials has a place of its own there, and turning
# verification off takes two places.
_READ: dict[str, Callable[[str], Any]] = {
    "prefix": str,
    "queue_type": str,
    "heartbeat": _whole,
    "request_timeout": _seconds,
    "reply_expires": _whole,
    "max_suspended": _whole,
    "reconnect_delay": _seconds,
    "access_grace": _seconds,
    "max_message_bytes": _whole,
    "fast": flag,
    "confirms": flag,
    "insecure": str,
}
