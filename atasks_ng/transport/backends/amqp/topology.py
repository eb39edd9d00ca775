"""What callers and workers expect to be on the broker, declared by whoever may."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence

from aiormq.exceptions import AMQPError

from ....words.errors import ConnectionLostError
from ....words.options import check_name
from .declaring import DEAD_QUEUE, EXCHANGES, Declarer
from .dialing import Dialer
from .links import Link
from .query import take_options
from .refusals import translated
from .settings import Names, Settings


async def declare(
    url: str,
    namespaces: Sequence[str] = ("default",),
    queues: Sequence[str] = ("default",),
    *,
    guarded: bool = False,
) -> list[str]:
    """
    Declare everything but the queues of replies, which each process declares for itself.

    What is there already stays. Nothing is consumed, and nothing published.

    Args:
        url: Where, and as whom; its options ``prefix`` and ``queue_type`` count.
        namespaces: For which namespaces.
        queues: For which queues of each.
        guarded: Whether replies go through an exchange of the type ``topic``. RabbitMQ can then
            keep a user from binding a queue to the address of another, which takes longer: see
            :meth:`~atasks_ng.transport.backends.amqp.permissions.Permissions.topic`.

    Returns:
        The names of the exchanges and queues that are there now.

    Raises:
        AccessDeniedError: The login is refused, or something may not be declared.
        ConnectionLostError: The broker cannot be used.
        OptionError: Something was declared with other settings, or is no name.
        BadURLError: The URL cannot be used.
    """
    url, told = take_options(url)
    settings = dataclasses.replace(Settings(url), **told)
    for namespace in namespaces:
        check_name("namespace", namespace)
    for queue in queues:
        check_name("queue", queue)
    settings.tell_risks()
    target = await Dialer(settings).target()
    link = Link(settings, "declares", target.url)
    kinds = {**EXCHANGES, "reply": "topic"} if guarded else EXCHANGES
    found: dict[str, None] = {}
    try:
        async with asyncio.timeout(settings.request_timeout):
            await link.open()
        declarer = Declarer(link, target.user)
        for namespace in namespaces:
            names = Names(f"{settings.prefix}.{namespace}")
            async with asyncio.timeout(settings.request_timeout):
                found |= dict.fromkeys(
                    await _declare(declarer, names, kinds, queues, settings.queue_type)
                )
    except TimeoutError:
        late = f"{target.shown} did not answer within {settings.request_timeout:g} s"
        raise ConnectionLostError(late) from None
    except ConnectionLostError:
        raise
    except (AMQPError, OSError, RuntimeError) as exc:
        raise translated(exc, target) from exc
    finally:
        await link.close()
    return list(found)


async def _declare(
    declarer: Declarer,
    names: Names,
    kinds: Mapping[str, str],
    queues: Sequence[str],
    queue_type: str,
) -> list[str]:
    found = []
    for part, kind in kinds.items():
        found.append(f"{names.base}.{part}")
        await declarer.exchange(found[-1], kind)
    for queue in queues:
        for nested in (False, True):
            key = names.key(queue, nested=nested)
            found.append(names.work(key))
            await declarer.queue(found[-1], {"x-queue-type": queue_type})
            await declarer.bind(found[-1], names.requests, key)
    await declarer.queue(names.dead, DEAD_QUEUE)
    await declarer.bind(names.dead, names.dead)
    return found
