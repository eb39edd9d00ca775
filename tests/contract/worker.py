"""
A worker process for the contract: ``python -m tests.contract.worker URL PREFIX CODEC SLOTS``.

The codec ``environment`` is one that signs with the keys in the environment.
"""

from __future__ import annotations

import asyncio
import sys

from atasks_ng import propagate, serve
from atasks_ng.codecs import MsgpackCodec, SignedCodec

from . import tasks
from .worlds import CODECS


async def main(url: str, prefix: str, codec: str, concurrency: str) -> None:
    if codec == "environment":
        SignedCodec(MsgpackCodec())
    else:
        CODECS[codec]()
    propagate(tasks.travelling)
    async with serve(url, prefix=prefix, concurrency=int(concurrency), grace=1):
        print("ready", flush=True)
        # Until whoever started it closes the pipe, or is gone.
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
