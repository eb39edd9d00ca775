"""Options of the AMQP transport, and the names it uses on the broker."""

from __future__ import annotations

import dataclasses

from yarl import URL

from ....words.errors import BadURLError, OptionError
from ....words.options import check_name
from ...urls import mask

QUEUE_TYPES = ("classic", "quorum")

_NESTED = ":nested"


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """
    How the transport treats its broker.

    Attributes:
        url: Where the broker is, with credentials and virtual host.
        prefix: First part of the name of every exchange and queue.
        namespace: Second part of them.
        queue_type: ``"classic"`` or ``"quorum"``: the queues of requests.
        heartbeat: Seconds between signs of life; the broker drops a link after two without one.
        request_timeout: Longest wait in seconds for the broker's answer to anything asked.
        reply_expires: How many seconds the broker keeps the replies to a process it has lost.
        max_suspended: How many root calls a worker may hold that wait for other calls.
        reconnect_delay: Longest pause in seconds between two tries to connect again.
        max_message_bytes: Largest message; the broker closes the channel on a larger one than it
            is configured for. 16 MiB is what RabbitMQ 4 takes by default, and 3 takes more.
        fast: Whether messages take the fast lane, beside aiormq, or go through it.
        confirms: Whether the broker confirms what the fast lane sends; the plain one always
            has it confirmed.
    """

    url: str
    prefix: str = "atasks_ng"
    namespace: str = "default"
    queue_type: str = "classic"
    heartbeat: int = 15
    request_timeout: float = 10.0
    reply_expires: int = 60
    max_suspended: int = 1000
    reconnect_delay: float = 5.0
    max_message_bytes: int = 16 * 1024 * 1024
    fast: bool = True
    confirms: bool = False

    def __post_init__(self) -> None:
        check_name("prefix", self.prefix)
        if self.queue_type not in QUEUE_TYPES:
            raise OptionError(
                f"queue_type={self.queue_type!r} does not exist: use one of "
                + ", ".join(QUEUE_TYPES)
            )
        for name in ("heartbeat", "request_timeout", "reply_expires", "reconnect_delay"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
                raise OptionError(f"{name}={value!r}: give a number of seconds above 0")
        size = self.max_message_bytes
        if type(size) is not int or size <= 0:
            raise OptionError(f"max_message_bytes={size!r}: give a number of bytes above 0")
        check_url(self.url)

    @property
    def shown_url(self) -> str:
        """The URL with its password masked, for logs and errors."""
        return mask(self.url)

    def dial_url(self, role: str) -> URL:
        """Return the URL that aiormq is given for one of the two connections."""
        url = URL(self.url)
        name = f"atasks_ng {self.namespace} {role}"
        query = {"heartbeat": str(self.heartbeat), "name": name, **url.query}
        return url.with_query(query)


@dataclasses.dataclass(frozen=True, slots=True)
class Names:
    """
    Names on the broker.

    Each begins with ``<prefix>.<namespace>``, so that permissions can be given by pattern. A colon
    cannot be part of a queue's name given by users: ``<queue>:nested`` belongs to nobody else.
    """

    base: str

    @property
    def requests(self) -> str:
        """The exchange for requests, by queue."""
        return f"{self.base}.req"

    @property
    def replies(self) -> str:
        """The exchange for what goes to one process, by its address."""
        return f"{self.base}.reply"

    @property
    def control(self) -> str:
        """The exchange for what goes to all workers of a queue."""
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
        return f"{self.base}.reply.{identity}"

    @staticmethod
    def key(queue: str, *, nested: bool) -> str:
        """Return the routing key of the requests of a queue."""
        return f"{queue}{_NESTED}" if nested else queue

    @staticmethod
    def queue(key: str) -> tuple[str, bool]:
        """Return the queue that a routing key stands for, and whether it is for nested calls."""
        return key.removesuffix(_NESTED), key.endswith(_NESTED)


def check_url(text: str) -> None:
    """
    Refuse what is no AMQP URL.

    Raises:
        BadURLError: With the reason, and the password masked.
    """
    try:
        url = URL(text)
        port = url.port
    except ValueError as exc:
        raise BadURLError(mask(text), f"{exc}; {_FORM}") from exc
    if url.scheme not in ("amqp", "amqps"):
        raise BadURLError(mask(text), f"its scheme is not amqp or amqps; {_FORM}")
    if not url.host:
        raise BadURLError(mask(text), f"it names no host; {_FORM}")
    if port is not None and not 0 < port < 65536:
        raise BadURLError(mask(text), f"its port is out of range; {_FORM}")


_FORM = "the form is amqp://user:password@host:5672/virtual-host"
