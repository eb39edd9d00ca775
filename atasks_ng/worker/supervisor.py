"""Keeps several worker processes running: carries out what ``supervision`` says."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Iterator, Mapping, Sequence

from .lifeline import VARIABLE, Lifeline
from .stopping import STOP_SIGNALS
from .supervision import Policy, Report, Send, Spawn, Step, Supervision

logger = logging.getLogger("atasks_ng.worker")

# Exit status of a process that could not be started, as shells have it.
_CANNOT_RUN = 127


class Supervisor:
    """
    Keep worker processes running until a signal, or until they cannot run.

    Args:
        policy: How many, and how patient.
        command: Returns the command line of the process with a number, counted from 1.
        environment: Environment variables of the processes; that of this process by default.
    """

    def __init__(
        self,
        policy: Policy,
        command: Callable[[int], Sequence[str]],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._supervision = Supervision(policy)
        self._command = command
        self._environment = dict(os.environ if environment is None else environment)
        self._processes: dict[int, Process] = {}
        self._watchers: set[asyncio.Task[None]] = set()
        self._events: asyncio.Queue[Callable[[], list[Step]]] = asyncio.Queue()

    async def run(self) -> int:
        """Run them; return the exit status for this process."""
        supervision = self._supervision
        with self._heed_signals():
            await self._do(supervision.begin(self._now()))
            while supervision.exit_status is None:
                await self._do(await self._next())
        return supervision.exit_status

    async def _next(self) -> list[Step]:
        when = self._supervision.next_tick()
        try:
            async with asyncio.timeout_at(when):
                event = await self._events.get()
        except TimeoutError:
            assert when is not None
            return self._supervision.tick(max(self._now(), when))
        return event()

    @contextlib.contextmanager
    def _heed_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for signum in STOP_SIGNALS:
            loop.add_signal_handler(signum, self._take_signal, signum)
        try:
            yield
        finally:
            for signum in STOP_SIGNALS:
                loop.remove_signal_handler(signum)

    def _take_signal(self, signum: int) -> None:
        now = self._now()
        self._events.put_nowait(lambda: self._supervision.signalled(signum, now))

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    # -- carrying out --------------------------------------------------------------------------

    async def _do(self, steps: list[Step]) -> None:
        for step in steps:
            match step:
                case Spawn(number):
                    await self._spawn(number)
                case Send(number, signum):
                    self._send(number, signum)
                case Report(level, text):
                    logger.log(level, "%s", text)

    def _send(self, number: int, signum: int) -> None:
        process = self._processes.get(number)
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signum)

    async def _spawn(self, number: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            fd = theirs.fileno()
            try:
                # A session of its own: Ctrl-C at the terminal reaches this process only, and
                # so no worker takes one wish to stop for two.
                process = await asyncio.create_subprocess_exec(
                    *self._command(number),
                    env={**self._environment, VARIABLE: str(fd)},
                    pass_fds=(fd,),
                    stdin=DEVNULL,
                    start_new_session=True,
                )
            except OSError as exc:
                ours.close()
                logger.error("cannot start worker process %d: %s", number, exc)
                self._tell_died(number, _CANNOT_RUN)
                return
        self._processes[number] = process
        await self._do(self._supervision.started(number, process.pid))
        watcher = asyncio.create_task(self._watch(number, process, Lifeline(ours)))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)

    async def _watch(self, number: int, process: Process, lifeline: Lifeline) -> None:
        """Follow one life of a process; one task, so that its death is never told before."""
        ready = asyncio.create_task(lifeline.wait_ready())
        ended = asyncio.create_task(process.wait())
        try:
            # Both: a process that forks leaves its end open in others when it dies.
            await asyncio.wait([ready, ended], return_when=asyncio.FIRST_COMPLETED)
            if ready.done() and ready.result():
                self._events.put_nowait(functools.partial(self._supervision.ready, number))
            self._tell_died(number, await ended)
        finally:
            ready.cancel()
            ended.cancel()
            lifeline.close()

    def _tell_died(self, number: int, status: int) -> None:
        now = self._now()
        self._events.put_nowait(lambda: self._supervision.died(number, status, now))
