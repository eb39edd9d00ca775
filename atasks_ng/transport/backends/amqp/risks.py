"""What is careless about a way to the broker: told, refused or allowed."""

from __future__ import annotations

import functools
import ipaddress
import logging

from yarl import URL

from ....words.errors import BadURLError
from ...urls import mask

logger = logging.getLogger("atasks_ng.amqp")

#: What can be done about it.
POLICIES = ("warn", "refuse", "allow")


def of(url: URL, has_login: bool) -> list[str]:
    """
    Return what an operator should know about the safety of the way to a broker.

    Args:
        url: Where it is; on this machine everything is safe.
        has_login: True if the user comes from elsewhere than the URL.
    """
    shown = mask(str(url))
    return [
        f"{shown} {what}; {way_out}, or insecure='allow'" for what, way_out in _of(url, has_login)
    ]


def refuse(url: URL, has_login: bool) -> None:
    """
    Raise if there is anything.

    Raises:
        BadURLError: There is.
    """
    found = "; ".join(f"it {what}: {way_out}" for what, way_out in _of(url, has_login))
    if found:
        how = "or take back insecure='refuse' ('warn' logs it, 'allow' says nothing)"
        raise BadURLError(mask(str(url)), f"{found}; {how}")


@functools.lru_cache(maxsize=1000)
def warn(risk: str) -> None:
    """Log a risk, the first time in the life of this process."""
    logger.warning("%s", risk)


def _of(url: URL, has_login: bool) -> list[tuple[str, str]]:
    """Return pairs: what is wrong, and the way out."""
    found: list[tuple[str, str]] = []
    if is_loopback(url.host or ""):
        return found
    if url.scheme == "amqp":
        what = (
            "is not encrypted: others on the way can read calls and the password, and change them"
        )
        found.append((what, "use amqps://"))
    elif url.query.get("no_verify_ssl", "0") != "0":
        what = "is not verified, so that anybody on the way can pass for the broker"
        found.append((what, "give the authority as cafile= instead of no_verify_ssl="))
    is_named = has_login or url.query.get("auth", "").lower() == "external"
    if not is_named and (url.user or "guest") == "guest":
        what = "is used as 'guest', a user that everybody knows"
        found.append((what, "create a user for this service, and delete 'guest'"))
    return found


def is_loopback(host: str) -> bool:
    """Return True if a host is this machine, whatever a resolver says."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
