"""``python -m benchmarks.startup_probe NAME IMPORTS PLACE``: print how long each step took."""

import asyncio
import contextlib
import importlib
import json
import sys
import time


async def _measure(name: str, imports: str, place_in_words: str) -> list[float]:
    # Nothing of the measurements themselves is loaded before: it would load the library.
    begin = time.perf_counter()
    importlib.import_module(imports)
    imported = time.perf_counter() - begin

    from .contenders import CONTENDERS, Place

    place = Place.from_words(place_in_words)
    CONTENDERS[name].load()
    async with contextlib.AsyncExitStack() as stack:
        begin = time.perf_counter()
        calls = await stack.enter_async_context(CONTENDERS[name].connect(place))
        times = [imported, time.perf_counter() - begin]
        for _ in range(2):
            begin = time.perf_counter()
            await calls["echo"](1)
            times.append(time.perf_counter() - begin)
    return times


print(json.dumps(asyncio.run(_measure(*sys.argv[1:]))))
