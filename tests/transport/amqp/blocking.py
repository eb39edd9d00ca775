"""
A worker whose bodies block: ``python -m tests.transport.amqp.blocking URL PREFIX FAST``.

Its log goes to standard error; it ends when its input is closed.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time

from atasks_ng import atask, serve

NAMESPACE = "blocking"

#: The shortest that AMQP has, in seconds.
HEARTBEAT = 1

_runs: dict[str, int] = {}


@atask(namespace=NAMESPACE)
async def block(key: str, seconds: float) -> int:
    """Let nobody else run; return how many times this was done for a key."""
    _runs[key] = _runs.get(key, 0) + 1
    time.sleep(seconds)  # noqa: ASYNC251  # what is tested
    return _runs[key]


@atask(namespace=NAMESPACE)
async def wait(key: str, seconds: float) -> int:
    """Let others run meanwhile; return how many times this was done for a key."""
    _runs[key] = _runs.get(key, 0) + 1
    await asyncio.sleep(seconds)
    return _runs[key]


async def main(url: str, prefix: str, fast: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    options = {"prefix": prefix, "heartbeat": HEARTBEAT, "fast": fast == "fast"}
    async with serve(url, namespace=NAMESPACE, grace=1, **options):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    # Tasks are known by their module.
    from tests.transport.amqp import blocking

    asyncio.run(blocking.main(*sys.argv[1:]))
