"""
atasks_ng: the transparent distributed await.

Put ``@atask`` on a coroutine function, start workers, and ``await f(x)`` runs on any of them::

    from atasks_ng import atask, connect

    @atask
    async def square(x: int) -> int:
        return x * x

    async with connect():
        assert await square(4) == 16
"""

from . import errors
from ._version import __version__
from .core.connecting import Connection, connect
from .core.context import propagate
from .core.deadlines import timeout
from .core.running import run
from .places.current import Call, current_call
from .tasks import atask
from .worker.serving import Worker, serve

__all__ = [
    "Call",
    "Connection",
    "Worker",
    "__version__",
    "atask",
    "connect",
    "current_call",
    "errors",
    "propagate",
    "run",
    "serve",
    "timeout",
]
