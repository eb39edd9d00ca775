"""What to do instead with a value that cannot travel, by its kind; the manual has the same."""

from __future__ import annotations

import asyncio
import collections.abc
import concurrent.futures
import contextvars
import functools
import io
import queue
import socket
import subprocess
import threading
import types
import weakref
from collections.abc import Awaitable, Callable, Iterator

_FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    functools.partial,
)
_GENERATORS = (types.GeneratorType, types.AsyncGeneratorType)
_VIEWS = (
    collections.abc.KeysView,
    collections.abc.ValuesView,
    collections.abc.ItemsView,
)
_HANDLES = (
    io.IOBase,
    socket.socket,
    subprocess.Popen,
    threading.Thread,
    type(threading.Lock()),
    type(threading.RLock()),
    threading.Condition,
    threading.Event,
    threading.Semaphore,
    threading.Barrier,
    threading.local,
    queue.Queue,
    queue.SimpleQueue,
    concurrent.futures.Executor,
    concurrent.futures.Future,
    asyncio.Lock,
    asyncio.Event,
    asyncio.Condition,
    asyncio.Semaphore,
    asyncio.Barrier,
    asyncio.Queue,
    asyncio.AbstractEventLoop,
    asyncio.BaseTransport,
    asyncio.StreamReader,
    asyncio.StreamWriter,
    contextvars.ContextVar,
    contextvars.Context,
    weakref.ref,
)

#: The words by the kind, which is the row of the manual's table "What does not travel".
ADVICE = {
    "memoryview": "it is a view of this process's memory: pass bytes(view)",
    "coroutines": "what can be awaited belongs to this event loop: await it first, and pass the "
    "result",
    "functions": "code does not travel: pass data, or use CloudpickleCodec; a task is called by "
    "its name on the other side",
    "generators": "it belongs to this process: pass a list, or make the task an async generator",
    "handles": "it means something in this process only: pass data, such as a path, an address or "
    "the content",
    "modules": "the other side has its own: import it there",
}

# In this order: a file is an iterator, too, and a future of asyncio a handle.
_KINDS: tuple[tuple[str, Callable[[type], bool]], ...] = (
    ("memoryview", lambda cls: cls is memoryview),
    ("coroutines", lambda cls: issubclass(cls, Awaitable)),
    ("functions", lambda cls: issubclass(cls, _FUNCTIONS)),
    ("handles", lambda cls: issubclass(cls, _HANDLES)),
    ("modules", lambda cls: issubclass(cls, types.ModuleType)),
    ("generators", lambda cls: issubclass(cls, (*_GENERATORS, *_VIEWS)) or _is_iterator(cls)),
)


def advice_for(cls: type) -> str | None:
    """Return why values of a class cannot travel and what to do; ``None`` if it is no such kind."""
    return next((ADVICE[kind] for kind, is_one in _KINDS if is_one(cls)), None)


def _is_iterator(cls: type) -> bool:
    # Those of users may be registered.
    return cls.__module__ in ("builtins", "itertools") and issubclass(cls, Iterator)
