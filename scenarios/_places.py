"""Where a scenario can run over AMQP: a broker that was named, one that is there, or our own."""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

from atasks_ng.testing.broker import HOW_TO_INSTALL, PrivateBroker, find_server
from atasks_ng.transport.urls import URL_VARIABLE, mask

LOCAL_URL = "amqp://guest:guest@localhost/"


class NoBrokerError(Exception):
    """There is no broker to run on; the text says what to do."""


@contextlib.contextmanager
def broker(url: str | None) -> Iterator[str]:
    """
    Enter with the URL of a broker that takes connections.

    Args:
        url: The one to use; ``None`` looks for ``$ATASKS_NG_URL``, then on this machine, and then
            starts a private one, which ends with the context.

    Raises:
        NoBrokerError: There is none.
    """
    named = url or os.environ.get(URL_VARIABLE, "")
    if url or named.startswith(("amqp://", "amqps://")):
        if not _listens(named):
            raise NoBrokerError(f"nobody answers at {mask(named)}")
        yield named
    elif _listens(LOCAL_URL):
        yield LOCAL_URL
    elif find_server() is None:
        raise NoBrokerError(
            f"no broker: none was named with --url or ${URL_VARIABLE}, none listens at "
            f"{mask(LOCAL_URL)}, and no RabbitMQ is installed ({HOW_TO_INSTALL})"
        )
    else:
        print("starting a private RabbitMQ node for this run", file=sys.stderr)
        with PrivateBroker() as node:
            yield node.url


def _listens(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port or (5671 if parts.scheme == "amqps" else 5672)
        with socket.create_connection((parts.hostname or "localhost", port), timeout=3):
            return True
    except (OSError, ValueError):
        return False
