"""What the command line takes and refuses, without starting anything."""

from __future__ import annotations

import argparse
import sys

import pytest

from atasks_ng import __version__
from atasks_ng.cli import main
from atasks_ng.cli.parser import make_parser
from atasks_ng.cli.worker import child_command


def parse(*args: str) -> argparse.Namespace:
    return make_parser().parse_args(args)


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0

    assert capsys.readouterr().out == f"atasks-ng {__version__}\n"


@pytest.mark.parametrize(
    "command", [[], ["worker"], ["run"], ["permissions"], ["declare"]], ids=" ".join
)
def test_help_names_every_argument_with_a_text(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--help"]) == 0

    text = capsys.readouterr().out
    assert " ".join(["usage: atasks-ng", *command]) in text
    parsers = [make_parser()]
    if command:
        subparsers = next(a for a in parsers[0]._actions if isinstance(a.choices, dict))
        parsers = [subparsers.choices[command[0]]]
    assert all(action.help for action in parsers[0]._actions if action.metavar != "COMMAND")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "COMMAND"),
        (["dance"], "invalid choice: 'dance'"),
        (["worker"], "MODULE"),
        (["worker", "m", "--concurrency", "many"], "invalid int value: 'many'"),
        (["worker", "m", "--grace", "long"], "--grace"),
        (["worker", "m", "--log-level", "loud"], "--log-level"),
        (["worker", "m"], "pass --url amqp://user:password@host/ or set ATASKS_NG_URL"),
        (["worker", "m", "--url", "loopback://"], "loopback:// does not leave this process"),
        (
            ["worker", "m", "--url", "amqp://h/", "--concurrency", "0"],
            "concurrency=0: give a whole",
        ),
        (["worker", "m", "--url", "amqp://h/", "--processes", "0"], "--processes 0: give a whole"),
        (["worker", "m", "--url", "amqp://h/", "--grace", "-1"], "grace=-1.0: give 0 seconds"),
        (["worker", "m", "--url", "amqp://h/", "--queue", "a b"], "queue='a b' is not a name"),
        (["worker", "m", "--url", "amqp://h/", "--namespace", "/"], "namespace='/' is not a name"),
        (["permissions", "alice"], "--role"),
        (["permissions", "alice", "--role", "king"], "role 'king' does not exist: use caller,"),
        (["permissions", "alice", "--role", "caller", "--namespace", "/"], "is not a name"),
        (["permissions", "alice", "--role", "worker", "--queue", "a|b"], "is not a name"),
        (["declare"], "pass --url amqp://user:password@host/ or set ATASKS_NG_URL"),
        (["declare", "--url", "amqp://h/", "--queue", "a b"], "queue='a b' is not a name"),
        (["declare", "--url", "amqp://h/?prefix=a b"], "prefix='a b' is not a name"),
        (["run"], "FILE_OR_MODULE"),
        (["run", "m", "--mode", "both"], "invalid choice: 'both'"),
        (["run", "m", "-M", "server"], "server on the loopback transport hears no other process"),
        (["run", "m", "-T", "amqp", "-U", "loopback://"], "cannot use the URL loopback://"),
        (["run", "m", "-o", "mode=server"], "'mode' is the name of another option"),
    ],
)
def test_command_that_cannot_be_used_exits_2(
    args: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ATASKS_NG_URL", raising=False)

    assert main(args) == 2

    error = capsys.readouterr().err
    assert says in error
    assert error.splitlines()[-1].startswith("atasks-ng")


def test_worker_has_defaults() -> None:
    args = parse("worker", "tasks")

    assert (args.modules, args.url, args.namespaces, args.queues) == (["tasks"], None, None, None)
    assert (args.concurrency, args.threads, args.processes, args.grace) == (100, None, None, 30.0)
    assert (args.log_level, args.name) == ("info", None)


def test_worker_options_may_be_repeated() -> None:
    args = parse("worker", "a", "b.py", "--namespace", "x", "--namespace", "y", "--queue", "gpu")

    assert args.modules == ["a", "b.py"]
    assert args.namespaces == ["x", "y"]
    assert args.queues == ["gpu"]


def test_grace_may_be_none() -> None:
    assert parse("worker", "m", "--grace", "None").grace is None


def test_child_command_says_what_the_supervisor_was_told() -> None:
    given = ["--namespace=x", "--namespace=y", "--queue=gpu", "--concurrency=7", "--threads=2"]
    given += ["--grace=2.5", "--log-level=debug", "--url=amqp://me:secret@broker/"]
    given += ["--tracebacks=names"]
    args = parse("worker", *given, "--processes=3", "a", "b.py")

    command = child_command(args, "w-1")

    assert command[:4] == [sys.executable, "-m", "atasks_ng", "worker"]
    assert not any("secret" in word for word in command)
    child = parse(*command[3:])
    assert child.name == "w-1"
    assert child.processes is child.url is None
    same = ["modules", "namespaces", "queues", "concurrency", "threads", "grace", "log_level"]
    for name in [*same, "tracebacks"]:
        assert getattr(child, name) == getattr(args, name)


def test_child_command_leaves_to_the_modules_what_it_was_not_told() -> None:
    args = parse("worker", "m", "--processes", "1")

    assert parse(*child_command(args, "w-1")[3:]).tracebacks is None


def test_child_command_keeps_no_limit() -> None:
    args = parse("worker", "m", "--grace", "none", "--processes", "1")

    assert parse(*child_command(args, "w-1")[3:]).grace is None


@pytest.mark.parametrize("command", ["worker", "run", "permissions", "declare"])
def test_what_is_not_understood_is_quoted_without_passwords(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "amqp://me:secret@host/"

    status = main(
        [command, "x", "--role=caller", f"--ulr={url}", "-Z", url, "-Y", "me:secret@host"]
    )

    assert status == 2
    said = capsys.readouterr()
    assert "me:***@host" in said.err
    assert "secret" not in said.err + said.out


TASKS = "tests.transport.amqp.permitted_tasks"


@pytest.mark.parametrize(
    "arguments",
    [
        ["worker", TASKS, "--url=me:secret@host"],
        ["worker", TASKS, "--url=amqp://me:sec/secret@host"],
        ["run", TASKS, "--transport=amqp", "--url=me:secret@host"],
        ["run", TASKS, "--url=me:secret@host"],
        ["declare", "--url=me:secret@host"],
        ["declare", "--url=amqp://me:secret@host/?nope=1"],
    ],
)
def test_url_that_cannot_be_used_is_shown_without_its_password(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) != 0

    said = capsys.readouterr()
    assert "host" in said.err
    assert "secret" not in said.err + said.out


def test_help_does_not_show_the_url_of_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATASKS_NG_URL", "amqp://me:secret@host/")
    for command in ([], ["worker"], ["run"], ["permissions"], ["declare"]):
        assert main([*command, "--help"]) == 0

    assert "secret" not in capsys.readouterr().out
