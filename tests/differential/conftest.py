"""Fixtures: the file that all processes write to, and two worker processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from .table import LOG_VARIABLE
from .worker import NAMESPACE_VARIABLE

ROOT = Path(__file__).parents[2]
PROCESSES = 2


@pytest.fixture(scope="session")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file of side effects."""
    path = tmp_path_factory.mktemp("differential") / "log"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(LOG_VARIABLE, str(path))
        yield path


@pytest.fixture(scope="session")
def namespace() -> str:
    """A name that no other session on the same broker has."""
    return f"differential-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def workers(amqp_url: str, namespace: str, log_file: Path) -> Iterator[str]:
    """Two worker processes that perform the tasks of all programs; yields where to call them."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "ATASKS_NG_URL": amqp_url,
        NAMESPACE_VARIABLE: namespace,
    }
    command = [sys.executable, "-m", "atasks_ng", "worker", f"{__package__}.worker"]
    command += [f"--namespace={namespace}", f"--processes={PROCESSES}"]
    output = log_file.with_name("workers")
    with output.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        _wait_until_ready(process, output)
        yield amqp_url
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(30)
    assert status == 0, output.read_text()


def _wait_until_ready(process: subprocess.Popen[bytes], output: Path) -> None:
    end = time.monotonic() + 30
    while output.read_text().count(" ready: ") < PROCESSES:
        assert process.poll() is None, output.read_text()
        assert time.monotonic() < end, output.read_text()
        time.sleep(0.02)
