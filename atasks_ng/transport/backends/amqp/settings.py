"""Options of the AMQP transport, and the names it uses on the broker."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Awaitable, Callable

from yarl import URL

from ....words.errors import BadURLError, OptionError
from ....words.options import check_name
from ...urls import mask
from . import risks
from .query import check_urls

#: Returns a user and a password; called anew each time a broker is dialed.
Credentials = Callable[[], tuple[str, str] | Awaitable[tuple[str, str]]]

QUEUE_TYPES = ("classic", "quorum")

_NESTED = ":nested"


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """
    How the transport treats its broker.

    Attributes:
        url: Where the broker is, with credentials and virtual host; or several of one cluster,
            with commas between.
        prefix: First part of the name of every exchange and queue.
        namespace: Second part of them.
        queue_type: ``"classic"`` or ``"quorum"``: the queues of requests.
        heartbeat: Seconds between signs of life; the broker drops a link after two without one.
        request_timeout: Longest wait in seconds for the broker's answer to anything asked.
        reply_expires: How many seconds the broker keeps the replies to a process it has lost.
        max_suspended: How many root calls a worker may hold that wait for other calls.
        reconnect_delay: Longest time in seconds from one try to connect again to the next.
            0.75: back within a second of the broker, and with jitter not twice a second.
        access_grace: How many seconds of nothing but refused logins calls outlast.
        max_message_bytes: Largest message; the broker closes the channel on a larger one than it
            is configured for. 16 MiB is what RabbitMQ 4 takes by default, and 3 takes more.
        fast: Whether messages take the fast lane, beside aiormq, or go through it.
        confirms: Whether the broker confirms what the fast lane sends; the plain one always
            has it confirmed.
        credentials: Asked for a user and a password at each dial, or ``None``: the URL has them.
        unsafe_no_verify: Whether a URL may turn off the verification of certificates.
        insecure: ``"warn"``, ``"refuse"`` or ``"allow"``: a way to the broker on which others can
            listen or pass for it, or a user that everybody knows.
    """

    url: str = dataclasses.field(repr=False)
    prefix: str = "atasks_ng"
    namespace: str = "default"
    queue_type: str = "classic"
    heartbeat: int = 15
    request_timeout: float = 10.0
    reply_expires: int = 60
    max_suspended: int = 1000
    reconnect_delay: float = 0.75
    access_grace: float = 30.0
    max_message_bytes: int = 16 * 1024 * 1024
    fast: bool = True
    confirms: bool = False
    credentials: Credentials | None = dataclasses.field(default=None, repr=False)
    unsafe_no_verify: bool = False
    insecure: str = "warn"

    def __post_init__(self) -> None:
        check_name("prefix", self.prefix)
        if self.queue_type not in QUEUE_TYPES:
            raise OptionError(
                f"queue_type={self.queue_type!r} does not exist: use one of "
                + ", ".join(QUEUE_TYPES)
            )
        for name in _DURATIONS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
                raise OptionError(f"{name}={value!r}: give a number of seconds above 0")
        size = self.max_message_bytes
        if type(size) is not int or size <= 0:
            raise OptionError(f"max_message_bytes={size!r}: give a number of bytes above 0")
        if self.credentials is not None and not callable(self.credentials):
            raise OptionError("credentials= must be a function that returns a user and a password")
        if self.insecure not in risks.POLICIES:
            allowed = ", ".join(risks.POLICIES)
            raise OptionError(f"insecure={self.insecure!r} does not exist: use one of {allowed}")
        for url in self.urls:
            _refuse_unused(url)
        for url in self.urls:
            _refuse_missing(url)
            self._check_verified(url)
            if self.insecure == "refuse":
                risks.refuse(url, self._has_login)
        if len(self.names.inbox("0" * _IDENTITY_LENGTH)) > _LONGEST_NAME:
            raise OptionError("prefix=, namespace= and the user are too long together")

    def _check_verified(self, url: URL) -> None:
        if url.query.get("no_verify_ssl", "0") == "0" or self.unsafe_no_verify:
            return
        raise BadURLError(
            mask(str(url)),
            "no_verify_ssl lets anybody pass for the broker: give the authority that signed its "
            "certificate, as cafile=/path/to/ca.pem; or say it again where no URL can, with "
            "unsafe_no_verify=True",
        )

    @property
    def urls(self) -> list[URL]:
        """The brokers, in the order in which they are tried."""
        return check_urls(self.url)

    @property
    def shown_url(self) -> str:
        """The URL with its password masked, for logs and errors."""
        return mask(self.url)

    def dial_url(self, role: str, url: URL | None = None) -> URL:
        """Return the URL that aiormq is given for one of the two connections."""
        url = url or self.urls[0]
        name = f"atasks_ng {self.namespace} {role}"
        query = {"name": name, **url.query, "heartbeat": str(self.heartbeat)}
        return url.with_query(query)

    @property
    def names(self) -> Names:
        """What things are called on the broker."""
        return Names(f"{self.prefix}.{self.namespace}", owner_of(self.urls[0].user))

    @property
    def _has_login(self) -> bool:
        return self.credentials is not None

    def risks(self) -> list[str]:
        """Return what an operator should know about the safety of the way to the broker."""
        return [risk for url in self.urls for risk in risks.of(url, self._has_login)]

    def tell_risks(self) -> None:
        """Log them, each once in the life of this process, unless that is not wanted."""
        if self.insecure != "allow":
            for risk in self.risks():
                risks.warn(risk)


def _refuse_unused(url: URL) -> None:
    """Refuse options of TLS in a URL that has none: whoever gives them believes it has."""
    unused = [name for name in _OF_TLS if name in url.query]
    if url.scheme == "amqp" and unused:
        raise OptionError(
            f"{', '.join(f'{name}=' for name in unused)} would be ignored, as amqp:// is plain "
            "text: use amqps://"
        )


def _refuse_missing(url: URL) -> None:
    """Refuse files that are not there: with each try to connect it would be the same."""
    for name in _FILES:
        path = url.query.get(name)
        if path is not None and not os.path.exists(path):
            raise OptionError(f"{name}={path!r}: there is no such file or folder")


# What aiormq takes for TLS.
_OF_TLS = ("cadata", "cafile", "capath", "certfile", "keyfile", "no_verify_ssl")

_FILES = ("cafile", "capath", "certfile", "keyfile")

_DURATIONS = ("heartbeat", "request_timeout", "reply_expires", "reconnect_delay", "access_grace")

# RabbitMQ takes no longer name of a queue, and no longer routing key; and what new_id() returns.
_LONGEST_NAME = 255
_IDENTITY_LENGTH = 32

_LONGEST_OWNER = 32


def owner_of(user: str | None) -> str:
    """
    Return a user as a part of names, by which permissions can be given.

    Args:
        user: As logged in with; ``None`` is ``"guest"``.
    """
    # Dots, too: what is permitted to "a" by the pattern "^reply\\.a\\." must not be "a.b"'s.
    owner = re.sub(r"[^A-Za-z0-9_-]", lambda found: _hex(found[0]), user or "guest")
    if len(owner) > _LONGEST_OWNER:
        return hashlib.blake2b(owner.encode(), digest_size=_LONGEST_OWNER // 2).hexdigest()
    return owner


def _hex(character: str) -> str:
    return "".join(f":{byte:02X}" for byte in character.encode())


@dataclasses.dataclass(frozen=True, slots=True)
class Names:
    """
    Names on the broker.

    Each begins with ``<prefix>.<namespace>``, so that permissions can be given by pattern. A colon
    cannot be part of a queue's name given by users: ``<queue>:nested`` belongs to nobody else.

    Attributes:
        base: That beginning.
        owner: Whose the queues of replies are, as :func:`owner_of` has it; or nothing.
    """

    base: str
    owner: str = ""

    @property
    def requests(self) -> str:
        """The exchange for requests, by queue."""
        return f"{self.base}.req"

    @property
    def replies(self) -> str:
        """The exchange for what workers tell one process, by its address."""
        return f"{self.base}.reply"

    @property
    def control(self) -> str:
        """The exchange for what callers tell all workers of a queue, or one by its address."""
        return f"{self.base}.ctl"

    @property
    def dead(self) -> str:
        """The exchange, and the queue, of messages that were refused."""
        return f"{self.base}.dead"

    def work(self, key: str) -> str:
        """Return the queue of requests with a routing key."""
        return f"{self.base}.work.{key}"

    def inbox(self, identity: str) -> str:
        """Return the queue, and address, of one process."""
        return f"{self.own}{identity}"

    @property
    def own(self) -> str:
        """How the addresses of one user's processes begin."""
        return f"{self.base}.reply.{self.owner}." if self.owner else f"{self.base}.reply."

    @staticmethod
    def key(queue: str, *, nested: bool) -> str:
        """Return the routing key of the requests of a queue."""
        return f"{queue}{_NESTED}" if nested else queue

    @staticmethod
    def queue(key: str) -> tuple[str, bool]:
        """Return the queue that a routing key stands for, and whether it is for nested calls."""
        return key.removesuffix(_NESTED), key.endswith(_NESTED)
