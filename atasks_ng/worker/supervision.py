"""
Rules for several worker processes: who is started, told to stop, killed, and when.

No process, no clock and no loop here: each method is told what happened and when, and returns what
to do. ``supervisor`` carries it out.

A process that dies is started again: at once if it lived for a while, after a growing pause if
not. Deaths before a process was ready are counted over all of them, and too many in a row end
everything: the fault is then in what they are started with, and whoever watches the supervisor
should see it.
"""

from __future__ import annotations

import dataclasses
import logging
import signal

from .backoff import delay_before
from .stopping import SAME_WISH

#: Exit status of a command that cannot work as it was given, as argparse has it.
EXIT_USAGE = 2

# Phases: keep the processes running, wait for their end, wait for what was killed.
_RUNNING, _STOPPING, _LEAVING, _OVER = "running", "stopping", "leaving", "over"

# States of a process: started, said that it performs calls, dead and to be started again, dead.
STARTING, READY, PAUSED, GONE = "starting", "ready", "paused", "gone"


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """
    Patience of a supervisor; all times in seconds.

    Attributes:
        processes: How many worker processes run.
        grace: How long they have, once told to stop; ``None`` sets no limit.
        quick: A process that lives shorter than this died quickly.
        first_pause: Pause before a start that follows one quick death; doubled with each more.
        longest_pause: Bound of the pause.
        max_failures: How many deaths in a row, none of them ready, end everything.
        kill_after: How long after the grace time a process is killed, since a worker needs a
            moment to hand back its calls.
        leave_within: How long after a second signal a process is killed.
        same_wish: What comes so soon after the first signal counts as the first.
    """

    processes: int
    grace: float | None = 30.0
    quick: float = 10.0
    first_pause: float = 0.5
    longest_pause: float = 30.0
    max_failures: int = 5
    kill_after: float = 5.0
    leave_within: float = 1.0
    same_wish: float = SAME_WISH


@dataclasses.dataclass(frozen=True, slots=True)
class Spawn:
    """Start a worker process."""

    number: int


@dataclasses.dataclass(frozen=True, slots=True)
class Send:
    """Send a signal to a worker process."""

    number: int
    signum: int


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """Write to the log."""

    level: int
    text: str


Step = Spawn | Send | Report


@dataclasses.dataclass(slots=True)
class Child:
    """
    One of the worker processes, through all its lives.

    Attributes:
        number: Its number, from 1.
        state: ``"starting"``, ``"ready"``, ``"paused"`` or ``"gone"``.
        pid: Process id of this life.
        since: When this life began, or when the next one begins.
        quick_deaths: How many lives in a row were short.
    """

    number: int
    state: str = GONE
    pid: int | None = None
    since: float = 0.0
    quick_deaths: int = 0

    @property
    def lives(self) -> bool:
        """True if there is a process."""
        return self.state in (STARTING, READY)

    def __str__(self) -> str:
        return f"worker process {self.number}" + (f" (pid {self.pid})" if self.pid else "")


class Supervision:
    """
    What a supervisor knows, and what it does about it.

    Attributes:
        children: The worker processes, by number.
        exit_status: How the supervisor exits, once everything is over; ``None`` until then.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.children = {number: Child(number) for number in range(1, policy.processes + 1)}
        self.exit_status: int | None = None
        self._phase = _RUNNING
        self._failures = 0
        self._any_ready = False
        self._kill_at: float | None = None
        self._asked_at: float | None = None
        self._status = 0

    # -- what happened -------------------------------------------------------------------------

    def begin(self, now: float) -> list[Step]:
        """Start everything."""
        return [step for child in self.children.values() for step in self._spawn(child, now)]

    def started(self, number: int, pid: int) -> list[Step]:
        """A process runs."""
        child = self.children[number]
        child.pid = pid
        return [Report(logging.INFO, f"{child} started")]

    def ready(self, number: int) -> list[Step]:
        """A process performs calls."""
        child = self.children[number]
        if child.state is not STARTING:
            return []
        child.state = READY
        self._failures = 0
        self._any_ready = True
        return [Report(logging.INFO, f"{child} ready")]

    def died(self, number: int, status: int, now: float) -> list[Step]:
        """
        A process ended.

        Args:
            number: Which one.
            status: Its exit status; minus the signal if it was killed.
            now: The time.
        """
        child = self.children[number]
        was_ready = child.state is READY
        how = f"{child} {describe_exit(status)}"
        child.state = GONE
        if self._phase is not _RUNNING:
            return self._died_as_told(status, how)
        self._failures += not was_ready
        failed = self._failures >= self.policy.max_failures
        if status == EXIT_USAGE and not was_ready and not self._any_ready:
            return self._give_up(f"{how} before it was ready: it cannot work so", EXIT_USAGE, now)
        if failed and not was_ready:
            many = f"{self._failures} times in a row a worker process ended before it was ready"
            return self._give_up(f"{how}; {many}: giving up", 1, now)
        return self._start_later(child, how, now)

    def signalled(self, signum: int, now: float) -> list[Step]:
        """The supervisor was asked to stop: in order the first time, at once the second."""
        name = signal.Signals(signum).name
        if self._phase is _RUNNING:
            self._asked_at = now
            grace = self.policy.grace
            limit = "no limit" if grace is None else f"{grace:g} s"
            text = f"{name}: stopping the worker processes (grace time: {limit})"
            return [Report(logging.INFO, text), *self._stop(now)]
        if self._asked_at is not None and now - self._asked_at < self.policy.same_wish:
            return []
        if self._phase is _STOPPING:
            self._phase = _LEAVING
            self._status = 128 + signum
            self._kill_at = now + self.policy.leave_within
            return [Report(logging.WARNING, f"{name} again: leaving now"), *self._tell()]
        return self._kill()

    def tick(self, now: float) -> list[Step]:
        """Tell the time; call it at :meth:`next_tick`."""
        steps: list[Step] = []
        for child in self.children.values():
            if child.state is PAUSED and child.since <= now:
                steps += self._spawn(child, now)
        if self._kill_at is not None and self._kill_at <= now:
            steps += self._kill()
        return steps

    def next_tick(self) -> float | None:
        """Return when to call :meth:`tick`, or ``None``."""
        times = [child.since for child in self.children.values() if child.state is PAUSED]
        if self._kill_at is not None:
            times.append(self._kill_at)
        return min(times, default=None)

    # -- steps ---------------------------------------------------------------------------------

    def _spawn(self, child: Child, now: float) -> list[Step]:
        child.state, child.since, child.pid = STARTING, now, None
        return [Spawn(child.number)]

    def _start_later(self, child: Child, how: str, now: float) -> list[Step]:
        policy = self.policy
        lived = now - child.since
        child.quick_deaths = child.quick_deaths + 1 if lived < policy.quick else 0
        pause = delay_before(
            child.quick_deaths, first=policy.first_pause, longest=policy.longest_pause
        )
        child.state, child.since = PAUSED, now + pause
        return [Report(logging.WARNING, f"{how}, restarting in {pause:g} s")]

    def _give_up(self, why: str, status: int, now: float) -> list[Step]:
        self._status = status
        return [Report(logging.ERROR, why), *self._stop(now)]

    def _stop(self, now: float) -> list[Step]:
        self._phase = _STOPPING
        if self.policy.grace is not None:
            self._kill_at = now + self.policy.grace + self.policy.kill_after
        for child in self.children.values():
            if child.state is PAUSED:
                child.state = GONE
        self._note_end()
        return self._tell()

    def _died_as_told(self, status: int, how: str) -> list[Step]:
        # By the signal itself: it came before the process had a handler for it.
        in_order = status in (0, -signal.SIGTERM)
        if not in_order:
            self._status = self._status or 1  # a status that says more stays
        self._note_end()
        return [Report(logging.INFO if in_order else logging.WARNING, how)]

    def _tell(self) -> list[Step]:
        # SIGTERM for SIGINT, too: to a process that still imports, the latter is an exception.
        living = [child for child in self.children.values() if child.lives]
        return [Send(child.number, signal.SIGTERM) for child in living]

    def _kill(self) -> list[Step]:
        self._kill_at = None
        return [
            step
            for child in self.children.values()
            if child.lives
            for step in (
                Report(logging.WARNING, f"{child} did not stop in time: killing it"),
                Send(child.number, signal.SIGKILL),
            )
        ]

    def _note_end(self) -> None:
        if all(child.state is GONE for child in self.children.values()):
            self._phase = _OVER
            self._kill_at = None
            self.exit_status = self._status


def describe_exit(status: int) -> str:
    """Return how a process ended, for people."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        name = f" ({signal.Signals(-status).name})"
    except ValueError:
        name = ""
    return f"died with signal {-status}{name}"
