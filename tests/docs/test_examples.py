"""The examples of the manual print what stands beside them, on every transport."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))

# What a program that says where it connects would do the same way again.
OWN_PLACE = re.compile(r"loopback://|LoopbackTransport\(|register_scheme\(")
ANYWHERE = [n for n in NAMES if not OWN_PLACE.search((EXAMPLES / f"{n}.py").read_text())]

Done = subprocess.CompletedProcess[str]


def environment(url: str) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "ATASKS_NG_URL": url, "PYTHONPATH": path}


def run(name: str, url: str) -> Done:
    return subprocess.run(
        [sys.executable, "-W", "error", f"{name}.py"],
        cwd=EXAMPLES,
        env=environment(url),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.fixture(scope="module")
def on_loopback() -> Iterator[dict[str, Future[Done]]]:
    """All examples, started side by side; each test waits for its own."""
    with ThreadPoolExecutor(4) as pool:
        yield {name: pool.submit(run, name, "loopback://") for name in NAMES}


@pytest.fixture(scope="module")
def on_amqp(amqp_url: str) -> Iterator[dict[str, Future[Done]]]:
    """The same over a broker, the bodies in worker processes."""
    modules = [f"{name}.py" for name in ANYWHERE]
    command = [sys.executable, "-m", "atasks_ng", "worker", *modules, "--processes", "2"]
    workers = subprocess.Popen(
        command, cwd=EXAMPLES, env=environment(amqp_url), stderr=subprocess.PIPE, text=True
    )
    assert workers.stderr is not None
    ready = 0
    while ready < 2:
        line = workers.stderr.readline()
        assert line, "the workers did not start"
        ready += " ready: " in line
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(run, name, amqp_url) for name in ANYWHERE}
    workers.send_signal(signal.SIGTERM)
    workers.communicate(timeout=40)
    assert workers.returncode == 0


def check(name: str, done: Done) -> None:
    assert done.stderr == ""
    assert done.returncode == 0
    file = EXAMPLES / f"{name}.out"
    # After a change that is meant: ATASKS_NG_RECORD=1 pytest tests/docs/test_examples.py
    if os.environ.get("ATASKS_NG_RECORD") == "1":
        file.write_text(done.stdout)
    assert done.stdout == file.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_example_prints_what_stands_beside_it(
    on_loopback: dict[str, Future[Done]], name: str
) -> None:
    check(name, on_loopback[name].result())


@pytest.mark.parametrize("name", ANYWHERE)
def test_example_prints_the_same_over_a_broker(on_amqp: dict[str, Future[Done]], name: str) -> None:
    check(name, on_amqp[name].result())


@pytest.mark.parametrize("name", NAMES)
def test_example_says_what_it_shows(name: str) -> None:
    text = ast.get_docstring(ast.parse((EXAMPLES / f"{name}.py").read_bytes()))

    assert text


def test_every_example_is_shown() -> None:
    pages = "".join(path.read_text() for path in (ROOT / "docs").rglob("*.rst"))
    shown = set(re.findall(r"literalinclude:: (?:\.\./)*(?:/)?examples/(\w+)\.py", pages))

    assert shown == set(NAMES)


def test_tutorial_prints_the_same_without_the_decorator() -> None:
    first, second = (EXAMPLES / f"tutorial_{number}.out" for number in (1, 2))

    assert first.read_text() == second.read_text()
