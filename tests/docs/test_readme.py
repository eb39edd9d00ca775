"""Every code block of the README does what the README says."""

from __future__ import annotations

import configparser
import dataclasses
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from atasks_ng.testing.broker import HOW_TO_INSTALL

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.rst").read_text()

SQUARES = "[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]\n"


@dataclasses.dataclass(frozen=True)
class Block:
    """A code block, and the title of the section that it is in."""

    section: str
    language: str
    text: str


def blocks() -> list[Block]:
    found, section, lines = [], "", TEXT.splitlines()
    for number, line in enumerate(lines):
        if re.fullmatch(r"[=-]{3,}", line):
            section = lines[number - 1]
        directive = re.fullmatch(r"\.\. code-block:: (\w+)", line)
        if directive:
            found.append(Block(section, directive[1], indented(lines[number + 1 :])))
    return found


def indented(lines: list[str]) -> str:
    end = next((n for n, line in enumerate(lines) if line[:1].strip()), len(lines))
    return textwrap.dedent("\n".join(lines[:end])).strip() + "\n"


def block(section: str, number: int = 0) -> str:
    return [each.text for each in blocks() if each.section == section][number]


def environment(**variables: str) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "ATASKS_NG_URL": "loopback://", "PYTHONPATH": path, **variables}


def run(command: list[str], folder: Path, **variables: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def here(command: str) -> list[str]:
    """Return a command of the README as it is called in the environment of the tests."""
    name, *arguments = command.split()
    called = {"atasks-ng": ["-m", "atasks_ng"], "python": [], ".venv/bin/python": []}[name]
    return [sys.executable, *called, *arguments]


# -- set-up ------------------------------------------------------------------------------------


def test_first_command_runs_the_main_job(tmp_path: Path) -> None:
    make, install, job = block("Set-up", 0).strip().split(" && ")

    assert make == "python3 -m venv .venv"
    assert install == ".venv/bin/pip install '.[scenarios]'"
    assert job.endswith("--on loopback")
    # A few packages of the library instead of all.
    printed = run(here(f"{job} --option limit=3"), ROOT)
    assert "the same analysis without the decorator: identical" in printed


def test_first_command_asks_for_an_extra_that_exists() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")

    assert "scenarios" in config["options.extras_require"]


def test_second_command_runs_tox() -> None:
    make, install, job = block("Set-up", 1).strip().split(" && ")
    config = configparser.ConfigParser()
    config.read(ROOT / "tox.ini")

    assert (make, install) == ("python3 -m venv .venv", ".venv/bin/pip install tox")
    assert job == ".venv/bin/tox"
    # What it runs when it is told nothing: every environment but those asked for by name.
    assert "full" in config["tox"]["env_list"]
    assert config["testenv:full"]["commands"].startswith("{[tests]run}")
    assert "pytest" in config["tests"]["run"]


def test_scenarios_are_listed() -> None:
    assert "``.venv/bin/python -m scenarios`` lists" in TEXT

    assert "codebase" in run(here(".venv/bin/python -m scenarios"), ROOT)


# -- programs ----------------------------------------------------------------------------------


def test_ten_lines_are_ten_at_most() -> None:
    code = [line for line in block("Ten lines").splitlines() if line and line[0] != "#"]

    assert len(code) <= 10


def test_ten_lines_print_what_the_readme_says(tmp_path: Path) -> None:
    (tmp_path / "squares.py").write_text(block("Ten lines"))

    assert run(here("python squares.py"), tmp_path) == SQUARES
    assert f"``{SQUARES.strip()}``" in TEXT


@pytest.mark.parametrize(
    "each", [each for each in blocks() if each.language == "python"], ids=lambda each: each.section
)
def test_every_program_runs_without_a_broker(tmp_path: Path, each: Block) -> None:
    (tmp_path / "program.py").write_text(each.text)

    assert run(here("python program.py"), tmp_path)


def test_program_with_a_loop_of_its_own_can_be_imported_by_workers(tmp_path: Path) -> None:
    (program,) = [each.text for each in blocks() if "asyncio.timeout(5)" in each.text]
    (tmp_path / "conn.py").write_text(program)

    assert run(here("python conn.py"), tmp_path) == "16\n"
    assert run([sys.executable, "-c", "import conn"], tmp_path) == ""


def test_four_worker_processes_perform_the_calls(tmp_path: Path, amqp_url: str) -> None:
    section = "Four worker processes over RabbitMQ"
    install, activate, export, serve = block(section, 0).strip().splitlines()
    *same, call = block(section, 1).strip().splitlines()
    assert (install, same) == (f"{HOW_TO_INSTALL}  # as root", [activate, export])
    variable = export.removeprefix("export ").partition("=")[0]
    (tmp_path / "squares.py").write_text(block("Ten lines"))

    workers = subprocess.Popen(
        here(serve),
        cwd=tmp_path,
        env=environment(**{variable: amqp_url}),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert workers.stderr is not None
    ready = 0
    while ready < 4:
        line = workers.stderr.readline()
        assert line, "the workers did not start"
        ready += " ready: " in line
    printed = run(here(call), tmp_path, **{variable: amqp_url})
    workers.send_signal(signal.SIGINT)
    log = workers.communicate(timeout=40)[1]

    assert printed == SQUARES
    assert workers.returncode == 0
    performed = [int(calls) for calls in re.findall(r"performed (\d+) calls", log)]
    assert len(performed) == 4
    assert sum(performed) == 10


# -- links -------------------------------------------------------------------------------------


def test_every_block_is_tested() -> None:
    tested = {"Set-up": 2, "Four worker processes over RabbitMQ": 2}

    shell = [each.section for each in blocks() if each.language != "python"]

    assert {section: shell.count(section) for section in shell} == tested


def test_files_that_are_linked_exist() -> None:
    missing = [
        target
        for target in re.findall(r"<([^>]+)>`_", TEXT)
        if "://" not in target and not (ROOT / target).exists()
    ]

    assert missing == []
