"""``python -m benchmarks.contenders NAME PLACE``: be the worker of a contender."""

import asyncio
import contextlib
import sys

from . import CONTENDERS, Place

with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
    asyncio.run(CONTENDERS[sys.argv[1]].serve(Place.from_words(sys.argv[2])))
