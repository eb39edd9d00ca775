"""What SECURITY.rst shows is so: its commands and programs, its patterns, its limits."""

from __future__ import annotations

import inspect
import os
import re
import secrets
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from atasks_ng import errors
from atasks_ng.cli import main
from atasks_ng.codecs import CompressedCodec
from atasks_ng.codecs.forms import bounds, containers
from atasks_ng.protocol import callee, failures, tracebacks
from atasks_ng.router import Router
from atasks_ng.testing.broker import PrivateBroker, find_server, free_port
from atasks_ng.transport.backends.amqp.declaring import DEAD_QUEUE
from atasks_ng.transport.backends.amqp.settings import Settings
from atasks_ng.words.options import TRACEBACKS, Limits, TaskOptions

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.rst").read_text()


def blocks(language: str, having: str = "") -> list[str]:
    """Return the code blocks of a language that have a certain text."""
    found = re.findall(rf"code-block:: {language}\n\n((?:   .*\n|\n)+)", TEXT)
    return [code for code in map(textwrap.dedent, found) if having in code]


def block(language: str, having: str) -> str:
    (found,) = blocks(language, having)
    return found.strip() + "\n"


SESSIONS = [block for block in blocks("console") if block.startswith("$ atasks-ng ")]


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.split()[3])
def test_command_prints_what_is_shown(session: str, capsys: pytest.CaptureFixture[str]) -> None:
    command, _, printed = session.partition("\n")

    assert main(shlex.split(command)[2:]) == 0

    assert capsys.readouterr().out.strip() == printed.strip()


class Walk:
    """Somebody who follows the page, on one machine instead of several."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(folder / "bin"), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
            "ATASKS_NG_KEY": secrets.token_urlsafe(32),
        }
        (folder / "bin").mkdir()
        command = folder / "bin" / "atasks-ng"
        command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m atasks_ng "$@"\n')
        command.chmod(0o755)

    def here(self, text: str) -> str:
        """Return a command as it is given on this machine."""
        text = text.replace("broker.example/", f"localhost:{self.port}/")
        return text.replace("broker.example", "localhost").replace("PASSWORD", "secret")

    def settings(self) -> dict[str, object]:
        """Return what the page writes into rabbitmq.conf, but for the port for tests."""
        lines = self.here(block("ini", "listeners.ssl")).strip().splitlines()
        found: dict[str, object] = dict(line.split(" = ") for line in lines)
        assert found.pop("listeners.tcp") == "none"
        assert found["listeners.ssl.default"] == "5671"
        found["listeners.ssl.default"] = f"127.0.0.1:{self.port}"
        for key, value in found.items():
            found[key] = str(value).replace("/etc/rabbitmq", str(self.folder))
        return found

    def sh(self, text: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-e", "-c", self.here(text)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def export(self, user: str) -> None:
        """Set ATASKS_NG_URL as the page does, for one of the users."""
        exported = block("sh", "export ATASKS_NG_URL='amqps://till:").replace("till", user)
        (url,) = shlex.split(self.here(exported).partition("=")[2])
        self.environment["ATASKS_NG_URL"] = url


@pytest.fixture
def site(
    private_broker: Callable[[dict[str, object]], PrivateBroker], tmp_path: Path
) -> tuple[Walk, PrivateBroker]:
    """A broker with the certificates, users and permissions of the page."""
    walk = Walk(tmp_path)
    walk.sh(block("sh", "openssl req -x509"))
    broker = private_broker(walk.settings())
    for line in block("sh", "rabbitmqctl add_vhost").splitlines():
        _, command, *arguments = shlex.split(line)
        broker.ctl(command, *arguments, *(["secret"] if command == "add_user" else []))
    for line in re.findall(r"^rabbitmqctl .+$", "".join(SESSIONS), re.MULTILINE):
        broker.ctl(*shlex.split(line)[1:])
    return walk, broker


@pytest.mark.timeout(180)
@pytest.mark.parametrize("codec", ["signed", "encrypted"])
def test_page_can_be_followed(site: tuple[Walk, PrivateBroker], codec: str) -> None:
    walk, _ = site
    tasks = block("python", "# shop_tasks.py")
    if codec == "encrypted":
        pytest.importorskip("cryptography")
        *imports, creation = block("python", "EncryptedCodec").strip().splitlines()
        tasks = "\n".join([*imports, tasks.replace('SignedCodec(MsgpackCodec("shop"))', creation)])
        assert creation in tasks
    (walk.folder / "shop_tasks.py").write_text(tasks)
    (walk.folder / "shop_web.py").write_text(block("python", "# shop_web.py"))

    declared = walk.sh(block("sh", "atasks-ng declare")).splitlines()
    assert "atasks_ng.shop.work.default" in declared
    walk.export("till")
    worker = subprocess.Popen(
        ["/bin/sh", "-c", "exec " + block("sh", "atasks-ng worker")],
        cwd=walk.folder,
        env=walk.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        walk.export("web")
        assert walk.sh(f"{sys.executable} shop_web.py") == "3\n"
    finally:
        worker.terminate()
        _, said = worker.communicate(timeout=30)
    assert "performed 1 calls" in said
    assert "secret" not in said


def test_broker_of_the_page_wants_a_certificate(site: tuple[Walk, PrivateBroker]) -> None:
    walk, _ = site
    walk.export("ops")
    url = re.sub(r"&certfile=[^&]*&keyfile=[^&]*", "", walk.environment["ATASKS_NG_URL"])

    with pytest.raises(AssertionError, match="give it as certfile= and keyfile="):
        walk.sh(f"atasks-ng declare --url '{url}' --namespace shop")


def test_certificate_can_be_the_login(
    private_broker: Callable[[dict[str, object]], PrivateBroker], tmp_path: Path
) -> None:
    walk = Walk(tmp_path)
    walk.sh(block("sh", "openssl req -x509"))
    lines = dict(line.split(" = ") for line in block("ini", "EXTERNAL").strip().splitlines())
    broker = private_broker({**walk.settings(), **lines})
    broker.stop()
    # As rabbitmq-plugins would.
    enabled = broker._node.folder / "enabled_plugins"
    enabled.write_text("[rabbitmq_auth_mechanism_ssl].\n")
    broker.start()
    broker.ctl("add_vhost", "shop")
    for user, patterns in (("till", [".*"] * 3), ("web", ["^$"] * 3)):
        broker.ctl("add_user", user, "unknown")
        broker.ctl("set_permissions", "--vhost", "shop", user, *patterns)
    exported = block("sh", "auth=external")

    declared = walk.sh(f"{exported}\natasks-ng declare --namespace shop")

    assert "atasks_ng.shop.work.default" in declared
    # Another certificate is another user, whatever the URL says.
    stranger = exported.replace("till.pem", "web.pem").replace("till.key", "web.key")
    with pytest.raises(AssertionError, match="may not declare"):
        walk.sh(f"{stranger}\natasks-ng declare --namespace other")


def test_key_of_the_page_is_long_enough(tmp_path: Path) -> None:
    walk = Walk(tmp_path)
    script = block("sh", "export ATASKS_NG_KEY").replace("python -c", f"{sys.executable} -c")

    assert len(walk.sh(f'{script}\nprintf %s "$ATASKS_NG_KEY"')) >= 32


def test_versions_are_those_that_the_tests_run_against() -> None:
    server = find_server()
    if server is None:
        pytest.skip("no RabbitMQ here")
    found = subprocess.run(
        [server.with_name("rabbitmqctl"), "version"], capture_output=True, text=True, check=False
    )
    version = found.stdout.strip()
    if version and f"RabbitMQ {version} " not in TEXT:
        pytest.fail(f"the tests run against RabbitMQ {version} now: say so in SECURITY.rst")


MIB = 1024 * 1024
UNPACKED = inspect.signature(CompressedCodec).parameters["max_bytes"].default

LIMITS = [
    ("Arguments, results and items", Limits().max_payload_bytes or 0, MIB, "MiB"),
    ("A whole message", Settings("amqp://localhost/").max_message_bytes, MIB, "MiB"),
    ("What a compressed", UNPACKED, MIB, "MiB"),
    ("Nested values", bounds.MAX_SENT - 2, 1, "levels to send"),
    ("Nested values", bounds.MAX_RECEIVED - 2, 1, "to receive"),
    ("Keys of one hash", containers._MAX_COLLIDING, 1, ""),
    ("Calls under way", Limits().max_in_flight, 1, ""),
    ("Calls under way", Limits().max_in_flight_bytes, MIB, "MiB of arguments"),
    ("Calls that call", Limits().max_depth, 1, "levels"),
    ("Calls that a worker", Settings("amqp://localhost/").max_suspended, 1, "more"),
    ("Workers that", TaskOptions().max_attempts, 1, ""),
    ("Exceptions in", failures.MAX_EXCEPTIONS, 1, ""),
    ("Exceptions in", tracebacks.MAX_FRAMES, 1, "frames"),
    ("Exceptions in", failures.MAX_TEXT, 1024, "KiB of text"),
    ("Answers and cancels", callee.REMEMBERED_ANSWERS, 1, ""),
    ("Answers and cancels", callee.REMEMBERED_CANCELS, 1, ""),
    ("Answers and cancels", callee.REMEMBERED_ANSWER_BYTES, MIB, "MiB"),
    ("Dead letters", DEAD_QUEUE["x-max-length"], 1, "for a week"),
    ("Answers to a process", Settings("amqp://localhost/").reply_expires, 1, "s"),
    ("Anything asked", int(Settings("amqp://localhost/").request_timeout), 1, "s"),
]


@pytest.mark.parametrize(("row", "value", "unit", "word"), LIMITS)
def test_limits_are_those_of_the_code(row: str, value: int, unit: int, word: str) -> None:
    (line,) = [line for line in TEXT.splitlines() if line.startswith(row)]

    assert value % unit == 0
    number = f"{value // unit:,}"
    plain = str(value // unit)
    assert re.search(rf"(?<![\d,])({number}|{plain})(?![\d,]\d)[^\d]*{word}", line)


def test_what_callers_can_be_told_is_what_there_is() -> None:
    rows = re.findall(r'^``tracebacks="(\w+)"`` +(.+)$', TEXT, re.MULTILINE)

    assert [word for word, _ in rows] == list(TRACEBACKS)
    default = inspect.signature(Router).parameters["tracebacks"].default
    assert [word for word, text in rows if text.endswith("the default")] == [default]


def test_errors_that_are_named_exist() -> None:
    named = re.findall(r"``(\w+Error)``", TEXT)

    assert named
    assert all(hasattr(errors, name) for name in named)
