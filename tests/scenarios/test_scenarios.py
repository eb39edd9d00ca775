"""Every scenario runs by one command, on every transport, and prints the same on all of them."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from atasks_ng.testing.broker import find_server
from scenarios import _places, _runner

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in ROOT.glob("scenarios/[!_]*.py"))

# Enough of the real job to be one: a few packages instead of all.
OPTIONS = {"codebase": ["--option", "limit=5"]}

PRINTED = {
    "cancelling": "timed out: []",
    "codebase": "the same analysis without the decorator: identical",
    "failures": "    raised in invert: return 1 / value",
    "fibonacci": "fibonacci(10) = 55",
    "namespaces": "a basket:  Decimal('21.10')",
    "parallel": "2262 primes in all",
    "quickstart": "Hello, world.",
    "sequence": "886731088897 / 627013566048",
}

# How many calls the workers perform in all, where it does not depend on the machine.
CALLS = {"fibonacci": 177, "namespaces": 7, "parallel": 10, "quickstart": 2, "sequence": 5}

has_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "scenarios", *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@functools.cache
def run_on_loopback(name: str) -> subprocess.CompletedProcess[str]:
    return run(name, *OPTIONS.get(name, []))


def calls_of_workers(log: str) -> list[int]:
    return [int(calls) for calls in re.findall(r"^worker \S+ performed (\d+) calls?$", log, re.M)]


# -- running -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_scenario_prints_what_it_promises_on_loopback(name: str) -> None:
    done = run_on_loopback(name)

    assert done.returncode == 0, done.stderr
    assert PRINTED[name] in done.stdout.splitlines()
    assert done.stderr == ""


@pytest.mark.parametrize("name", NAMES)
def test_scenario_prints_the_same_on_amqp(name: str, amqp_url: str) -> None:
    expected = run_on_loopback(name).stdout

    done = run(name, "--on", "amqp", "--workers", "2", "--url", amqp_url, *OPTIONS.get(name, []))

    assert done.returncode == 0, done.stderr
    assert done.stdout == expected
    calls = calls_of_workers(done.stderr)
    assert len(calls) == 2
    assert sum(calls) == CALLS.get(name, sum(calls))


def test_scenario_takes_options() -> None:
    done = run("fibonacci", "--option", "n=15")

    assert done.returncode == 0, done.stderr
    assert "fibonacci(15) = 610" in done.stdout


def test_failing_scenario_has_exit_code_1() -> None:
    done = run("sequence", "--option", "square=0")

    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


# -- ending ------------------------------------------------------------------------------------


def processes_with(mark: str) -> list[int]:
    """Return the processes that have a text in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue  # another user's, or it has just ended
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@contextlib.contextmanager
def run_with_ready_workers(amqp_url: str, mark: str) -> Iterator[subprocess.Popen[str]]:
    name, value = mark.split("=")
    with subprocess.Popen(
        command("codebase", "--url", amqp_url, "--log-level", "info"),
        cwd=ROOT,
        env={**os.environ, name: value},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as runner:
        assert runner.stderr is not None
        try:
            while "ready" not in runner.stderr.readline():
                assert runner.poll() is None
            yield runner
        except BaseException:
            runner.kill()
            raise


@has_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_leaves_no_process_behind(number: signal.Signals, amqp_url: str) -> None:
    mark = f"SCENARIO_TEST={uuid.uuid4()}"

    with run_with_ready_workers(amqp_url, mark) as runner:
        runner.send_signal(number)
        runner.communicate(timeout=50)

    assert runner.returncode == 128 + number
    assert processes_with(mark) == []


@has_proc
def test_workers_stop_when_the_runner_is_killed(amqp_url: str) -> None:
    mark = f"SCENARIO_TEST={uuid.uuid4()}"

    with run_with_ready_workers(amqp_url, mark) as runner:
        runner.kill()

    wait_until(lambda: not processes_with(mark))


# -- the command -------------------------------------------------------------------------------


def test_without_name_it_lists_all_scenarios() -> None:
    done = run()

    assert done.returncode == 0
    for name in NAMES:
        first = (ROOT / f"scenarios/{name}.py").read_text().partition("\n")[0]
        assert re.search(rf"^  {name} +{re.escape(first.strip(chr(34)))}$", done.stdout, re.M)


@pytest.mark.parametrize(
    ("arguments", "help_"),
    [
        (["quickest"], "no scenario is called 'quickest'; there are"),
        (["quickstart", "--option", "n=3"], "the options of this scenario are: none"),
        (["fibonacci", "--option", "n=many"], "n is of type int"),
        (["quickstart", "--workers", "0"], "not a whole number above 0"),
        (["quickstart", "--on", "loopback", "--url", "amqp://x/"], "--url is for --on amqp"),
    ],
)
def test_wrong_command_has_exit_code_2_and_says_what_is_right(
    arguments: list[str], help_: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        _runner.main(arguments)

    assert ended.value.code == 2
    assert help_ in capsys.readouterr().err


# -- the broker --------------------------------------------------------------------------------


def test_url_of_nobody_is_refused_without_its_password() -> None:
    done = run("quickstart", "--url", "amqp://me:secret@127.0.0.1:1/")

    assert done.returncode == 1
    assert "nobody answers at amqp://me:***@127.0.0.1:1/" in done.stderr
    assert "secret" not in done.stderr


def test_url_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATASKS_NG_URL", "amqp://127.0.0.1:1/")

    with pytest.raises(_places.NoBrokerError, match="nobody answers"), _places.broker(None):
        pass


def test_without_any_broker_it_says_how_to_install_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATASKS_NG_URL", raising=False)
    monkeypatch.setattr(_places, "LOCAL_URL", "amqp://127.0.0.1:1/")
    monkeypatch.setattr(_places, "find_server", lambda: None)

    with (
        pytest.raises(_places.NoBrokerError, match="install rabbitmq-server"),
        _places.broker(None),
    ):
        pass


@pytest.mark.amqp
@pytest.mark.skipif(find_server() is None, reason="needs rabbitmq-server")
def test_without_a_running_broker_it_starts_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ATASKS_NG_URL", raising=False)
    monkeypatch.setattr(_places, "LOCAL_URL", "amqp://127.0.0.1:1/")

    with _places.broker(None) as url, _places.broker(url) as same:
        assert same == url

    assert capsys.readouterr().err == "starting a private RabbitMQ node for this run\n"


# -- the files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_scenario_fits_on_a_screen(name: str) -> None:
    lines = (ROOT / f"scenarios/{name}.py").read_text().splitlines()

    assert len(lines) <= 60
    assert max(map(len, lines)) <= 100
