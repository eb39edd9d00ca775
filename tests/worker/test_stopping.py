"""Signals and late exits; what ends a process is tested in one of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading

from atasks_ng.worker.stopping import SAME_WISH, StopSignals, leave_after, name_of_signal


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


async def test_first_signal_calls_the_function_in_the_loop() -> None:
    heard: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    with StopSignals(heard.set_result) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(5):
            assert await heard == signal.SIGTERM

    assert signals.received == signal.SIGTERM


async def test_handlers_of_before_are_back_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    with StopSignals(print):
        assert signal.getsignal(signal.SIGTERM) != before[0]

    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_second_signal_ends_a_process_whose_loop_is_blocked() -> None:
    done = run_python(
        """
        import asyncio, os, signal
        from atasks_ng.worker.stopping import SAME_WISH, StopSignals

        async def main():
            clock = iter([5.0, 5.0 + SAME_WISH])
            with StopSignals(print, clock=lambda: next(clock)):
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGTERM)
                while True:
                    pass

        asyncio.run(main())
        """
    )

    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr == "atasks-ng: second signal (SIGTERM): leaving at once\n"


async def test_signals_soon_after_the_first_are_the_same_wish() -> None:
    heard: list[int] = []
    clock = iter([5.0, 5.0, 5.001, 5.0 + SAME_WISH - 0.001])

    with StopSignals(heard.append, clock=lambda: next(clock)) as signals:
        for signum in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), signum)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert heard == [signal.SIGTERM]
    assert signals.received == signal.SIGTERM
    assert next(clock, None) is None


def test_process_that_hangs_leaves_late() -> None:
    done = run_python(
        """
        import threading
        from atasks_ng.worker.stopping import leave_after

        threading.Thread(target=threading.Event().wait).start()
        leave_after(0.05, 3, "too late")
        """
    )

    assert done.returncode == 3
    assert done.stderr == "atasks-ng: too late\n"


def test_leaving_late_can_be_called_off() -> None:
    before = set(threading.enumerate())
    call_off = leave_after(3600, 3)
    (timer,) = set(threading.enumerate()) - before

    call_off()

    timer.join(5)
    assert not timer.is_alive()


def test_signal_without_a_name_has_a_number() -> None:
    assert name_of_signal(signal.SIGINT) == "SIGINT"
    assert name_of_signal(250) == "signal 250"
