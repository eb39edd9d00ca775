"""
A worker with options of the transport: ``python -m tests.faults.worker URL SLOTS OPTIONS``.

The options are JSON; the command line of the library knows those of the worker only.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys

from atasks_ng import serve
from atasks_ng.cli.loading import load_all

from .places import HERE


async def main(url: str, concurrency: str, options: str) -> None:
    (tasks,) = load_all([str(HERE / "faulty_tasks.py")])
    async with serve(
        url,
        namespace=tasks.NAMESPACE,
        concurrency=int(concurrency),
        grace=1,
        **json.loads(options),
    ) as worker:
        logging.getLogger("tests").info("worker %s ready: options %s", worker.name, options)
        await worker.wait_closed()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main(*sys.argv[1:]))
