"""
What users must be permitted on the broker: exactly what they need, by what they do.

RabbitMQ has three patterns for each user and virtual host, which are searched for in the names of
exchanges and queues. *configure* is for declaring and deleting, *write* for publishing to an
exchange and for binding a queue, *read* for consuming from a queue and for binding to an exchange.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

from ....words.errors import OptionError
from ....words.options import check_name
from .settings import Names, owner_of

#: What a user may be for: making calls, performing them, declaring what both need.
ROLES = ("caller", "worker", "operator")

# By role: what the exchanges and queues that everybody shares are needed for. "own" are the queues
# of replies of this user, "work" those of requests.
_NEEDS = {
    "caller": {
        "configure": ("own",),
        "write": ("req", "ctl", "own"),
        "read": ("reply", "own"),
    },
    "worker": {
        "configure": ("own",),
        "write": ("reply", "dead", "own"),
        "read": ("reply", "ctl", "own", "work"),
    },
    "operator": {
        "configure": ("req", "reply", "ctl", "dead", "work"),
        "write": ("dead", "work"),
        "read": ("req", "dead"),
    },
}

_NOTHING = "^$"


@dataclasses.dataclass(frozen=True, slots=True)
class Permissions:
    """
    The three patterns of a user in a virtual host, as ``rabbitmqctl set_permissions`` takes them.

    Attributes:
        configure: What may be declared and deleted.
        write: What may be published to, and bound.
        read: What may be consumed from, and bound to.
        topic: For each exchange of replies, what may be published to it and what may be bound to
            it, by routing key, as ``rabbitmqctl set_topic_permissions`` takes them. They count if
            the exchange was declared as ``guarded``.
    """

    configure: str
    write: str
    read: str
    topic: tuple[tuple[str, str, str], ...] = ()


def permissions(
    roles: Iterable[str],
    user: str,
    namespaces: Sequence[str] = ("default",),
    *,
    queues: Sequence[str] = (),
    prefix: str = "atasks_ng",
) -> Permissions:
    """
    Return what a user must be permitted, and nothing else.

    A worker whose tasks call tasks is a caller, too. One that declares what is missing is an
    operator, too.

    Args:
        roles: What the user does, of ``ROLES``.
        user: As it logs in, or as the URL names it if a function returns the credentials.
        namespaces: Where.
        queues: Which queues it serves or declares; none stands for all.
        prefix: That of the transport.

    Raises:
        OptionError: There is no such role, or something is no name.
    """
    wanted = list(dict.fromkeys(roles))
    for role in wanted:
        if role not in ROLES:
            raise OptionError(f"role {role!r} does not exist: use {', '.join(ROLES)}")
    check_name("prefix", prefix)
    for namespace in namespaces:
        check_name("namespace", namespace)
    for queue in queues:
        check_name("queue", queue)
    bases = [Names(f"{prefix}.{namespace}", owner_of(user)) for namespace in namespaces]

    def pattern(operation: str) -> str:
        needed = list(dict.fromkeys(each for role in wanted for each in _NEEDS[role][operation]))
        parts = [part for names in bases for part in _parts(names, needed, queues)]
        return "|".join(parts) or _NOTHING

    topic = tuple((names.replies, ".*", f"^{_escape(names.own)}") for names in bases)
    return Permissions(pattern("configure"), pattern("write"), pattern("read"), topic)


def _parts(names: Names, needed: list[str], queues: Sequence[str]) -> Iterable[str]:
    base = _escape(names.base)
    shared = [each for each in needed if each not in ("own", "work")]
    if shared:
        yield rf"^{base}\.{_any_of(shared)}$"
    if "work" in needed:
        some = _any_of([_escape(queue) for queue in queues])
        yield rf"^{base}\.work\.{some}(:nested)?$" if some else rf"^{base}\.work\."
    if "own" in needed:
        yield f"^{_escape(names.own)}"


def _any_of(parts: Sequence[str]) -> str:
    return f"({'|'.join(parts)})" if len(parts) > 1 else "".join(parts)


def _escape(name: str) -> str:
    return re.sub(r"([^A-Za-z0-9_:-])", r"\\\1", name)
