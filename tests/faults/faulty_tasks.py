"""The tasks of the faults; what ran where and when is in the ledger, whichever process ran it."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import atasks_ng
from atasks_ng.codecs import MsgpackCodec, SignedCodec

#: Runs that share a broker must not perform each other's calls.
NAMESPACE = os.environ.get("ATASKS_NG_FAULTS_NAMESPACE", "faults")

#: What a body that kills its process exits with.
SUICIDE = 77

_POLL_SECONDS = 0.01

atask = functools.partial(atasks_ng.atask, namespace=NAMESPACE)


def write(what: str, key: str) -> None:
    """Put a line into the ledger."""
    call = atasks_ng.current_call()
    assert call is not None
    line = f"{what} {key or '-'} {call.id} {call.attempt} {os.getpid()} {time.monotonic():.6f}\n"
    # One write of a short line to a file opened for appending: whole, whoever else writes.
    descriptor = os.open(
        os.environ["ATASKS_NG_FAULTS_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT
    )
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


_gates: dict[Path, asyncio.Event] = {}
_pollers: set[asyncio.Task[None]] = set()


async def opened(file: Path) -> None:
    """Return when a file is there, whose name may ask for the ``{pid}`` of this process."""
    file = Path(str(file).format(pid=os.getpid()))
    if file not in _gates:
        _gates[file] = asyncio.Event()
        poller = asyncio.get_running_loop().create_task(_poll(file, _gates[file]))
        _pollers.add(poller)
        poller.add_done_callback(_pollers.discard)
    await _gates[file].wait()


async def _poll(file: Path, gate: asyncio.Event) -> None:
    while not file.exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(_POLL_SECONDS)
    gate.set()
    del _gates[file]


@atask
async def echo(value: Any) -> Any:
    return value


@atask
async def work(key: str, gate: Path | None = None, result: Any = None) -> Any:
    """Wait until a gate is opened."""
    write("start", key)
    try:
        if gate is not None:
            await opened(gate)
    except asyncio.CancelledError:
        write("cancelled", key)
        raise
    write("end", key)
    return key if result is None else result


@atask
async def swell(key: str, size: int) -> bytes:
    """Return very much."""
    write("start", key)
    return b"x" * size


@atask
async def count(key: str, first: Path, last: Path) -> AsyncIterator[int]:
    """Yield three numbers, when one gate is opened, and end when the other is."""
    write("start", key)
    await opened(first)
    for number in range(3):
        yield number
    await opened(last)
    write("end", key)


@atask
async def hold(gate: Path) -> None:
    """Wait until a gate is opened, and write nothing."""
    await opened(gate)


@atask(ack="early")
async def work_once(key: str, gate: Path) -> str:
    """Do the same, at most once."""
    return await work.__wrapped__(key, gate)


@atask
async def work_below(key: str, gate: Path) -> str:
    """Await work elsewhere, and do something after that."""
    write("start", f"{key}-above")
    await work(key, gate)
    write("end", f"{key}-above")
    return key


@atask
async def nap(key: str, seconds: float) -> str:
    write("start", key)
    await asyncio.sleep(seconds)
    write("end", key)
    return key


@atask
async def descend(depth: int, gate: Path, wait_at: int = 0) -> int:
    """Go down, wait at some depth, go on, and come back."""
    write("start", str(depth))
    if depth == wait_at:
        await opened(gate)
    return 1 + await descend(depth - 1, gate, wait_at) if depth else 0


@atask
async def die(key: str) -> None:
    """End the process without a word."""
    write("start", key)
    os._exit(SUICIDE)


@atask
async def crash_once(key: str, flag: Path) -> str:
    """Die of a segmentation fault, but not a second time."""
    write("start", key)
    if not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    return key


@atask
async def leave(name: str) -> None:
    """Try to end the process in the ways of Python."""
    raise {"SystemExit": SystemExit, "KeyboardInterrupt": KeyboardInterrupt}[name](3)


@atask
async def time_of_day() -> float:
    return time.time()


def _skew_clock(seconds: float) -> None:
    real = time.time
    time.time = lambda: real() + seconds


if skew := os.environ.get("ATASKS_NG_FAULTS_SKEW"):
    _skew_clock(float(skew))

if "ATASKS_NG_KEY" in os.environ:
    SignedCodec(MsgpackCodec(NAMESPACE))
