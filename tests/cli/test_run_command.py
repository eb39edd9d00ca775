"""``atasks-ng run``: the runner of programs, in one process and in two."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from atasks_ng.cli.errors import CommandError
from atasks_ng.cli.parser import make_parser
from atasks_ng.cli.run import _settle_transport, main_of, options_of

if TYPE_CHECKING:
    from .conftest import StartCommand

AMQP = "amqp://guest:guest@localhost/"

PROGRAM = """
import asyncio
from atasks_ng import atask, current_call

@atask
async def greet(name: str) -> str:
    call = current_call()
    return f"hello {name} from {call.worker} by {call.task}"

@atask(queue="gpu")
async def render() -> str:
    return "rendered"

async def aiomain(mode, who="world", **options):
    if mode != "server":
        print(mode, await greet(who), await render(), options["opt"], sep="; ")
"""


def parse(*args: str) -> argparse.Namespace:
    return make_parser().parse_args(["run", "m", *args])


def module(aiomain: Any) -> ModuleType:
    made = ModuleType("m")
    made.aiomain = aiomain  # type: ignore[attr-defined]
    return made


# -- what aiomain gets -------------------------------------------------------------------------


def test_options_are_those_of_the_command_line_and_the_pairs() -> None:
    args = parse("-M", "loopback", "-o", "a=1", "b=x=y", "flag", "-o", "c=", "-v", "3", "-H", "me")

    assert options_of(args) == {
        "scenario": ["m"],
        "opt": ["a=1", "b=x=y", "flag", "c="],
        "url": None,
        "hostname": "me",
        "verbosity": 3,
        "loggers": None,
        "mode": "loopback",
        "transport": None,
        "a": "1",
        "b": "x=y",
        "c": "",
    }


def test_pair_must_not_hide_an_option() -> None:
    with pytest.raises(CommandError, match="'url' is the name of another option"):
        options_of(parse("-o", "url=amqp://elsewhere/"))


async def test_aiomain_gets_what_it_takes() -> None:
    async def everything(**options: Any) -> dict[str, Any]:
        return options

    async def some(b: int, *, c: int = 0, d: int = 4) -> tuple[int, ...]:
        return b, c, d

    async def nothing() -> str:
        return "nothing"

    options = {"a": 1, "b": 2, "c": 3}

    assert await main_of(module(everything), options)() == options
    assert await main_of(module(some), options)() == (2, 3, 4)
    assert await main_of(module(nothing), options)() == "nothing"
    assert await main_of(ModuleType("without"), options)() is None


@pytest.mark.parametrize(
    ("args", "environment", "transport", "url"),
    [
        ([], None, "loopback", "loopback://"),
        ([], "amqp://h/", "amqp", "amqp://h/"),
        (["-U", "amqps://h/"], None, "amqp", "amqps://h/"),
        (["-U", "loopback://"], "amqp://h/", "loopback", "loopback://"),
        (["-T", "amqp"], None, "amqp", AMQP),
        (["-T", "amqp"], "amqp://h/", "amqp", "amqp://h/"),
        (["-T", "loopback"], "amqp://h/", "loopback", "loopback://"),
        (["-T", "amqp", "-U", "amqp://x/"], "amqp://h/", "amqp", "amqp://x/"),
    ],
)
def test_transport_and_url_say_the_same(
    args: list[str],
    environment: str | None,
    transport: str,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ATASKS_NG_URL", environment or "")
    parsed = parse(*args)

    _settle_transport(parsed)

    assert (parsed.transport, parsed.url) == (transport, url)


# -- running -----------------------------------------------------------------------------------


async def test_loopback_calls_and_performs_in_one_process(
    start: StartCommand, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)

    command = await start("run", "program.py", "-M", "loopback", "-o", "who=you", "-H", "me")

    assert await command.ends() == 0
    assert command.lines == [
        "loopback; hello you from me by program:greet; rendered; ['who=you']",
    ]


async def test_programs_run_at_the_same_time(start: StartCommand, tmp_path: Path) -> None:
    for number, other in ((1, 2), (2, 1)):
        (tmp_path / f"p{number}.py").write_text(
            "import asyncio, sys\n"
            "met = asyncio.Event()\n"
            "async def aiomain():\n"
            f"    sys.modules['p{other}'].met.set()\n"
            "    await met.wait()\n"
            f"    print('{number} met {other}')\n"
        )

    command = await start("run", "p1.py", "p2.py")

    assert await command.ends() == 0
    assert sorted(command.lines) == ["1 met 2", "2 met 1"]


async def test_error_of_a_program_ends_the_others(start: StartCommand, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("async def aiomain():\n    raise LookupError('no luck')\n")
    (tmp_path / "long.py").write_text(
        "import asyncio\n"
        "async def aiomain():\n"
        "    try:\n"
        "        await asyncio.Event().wait()\n"
        "    finally:\n"
        "        print('cleaned up')\n"
    )

    command = await start("run", "bad.py", "long.py")

    assert await command.ends() == 1
    assert "cleaned up" in command.lines
    assert command.lines[-1] == "LookupError: no luck"


async def test_codec_of_a_module_is_kept(start: StartCommand, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "from atasks_ng import atask\n"
        "from atasks_ng.codecs import Codec, get_codec\n"
        "class Repr(Codec):\n"
        "    def encode(self, obj): return repr(obj).encode()\n"
        "    def decode(self, content): return eval(content)\n"
        "Repr()\n"
        "@atask\n"
        "async def double(x): return 2 * x\n"
        "async def aiomain(): print(get_codec().name, await double(21))\n"
    )

    command = await start("run", "program.py")

    assert await command.ends() == 0
    assert command.lines == ["Repr 42"]


async def test_nobody_there_is_an_error_of_one_line(start: StartCommand, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)

    command = await start("run", "program.py", "-U", "amqp://me:secret@127.0.0.1:1/", "-v", "0")

    assert await command.ends() == 1
    (line,) = command.lines
    assert line.startswith("atasks-ng run: error: cannot connect to amqp://me:***@127.0.0.1:1/")


async def test_client_calls_what_a_server_performs(
    start: StartCommand, tmp_path: Path, amqp_url: str
) -> None:
    # Names of its own, for the broker is shared.
    own = f"n{tmp_path.name.replace('_', '')}"
    (tmp_path / "program.py").write_text(
        PROGRAM.replace("@atask(", f"@atask(namespace='{own}', ").replace(
            "@atask\n", f"@atask(namespace='{own}')\n"
        )
    )
    args = ["run", "program.py", "-T", "amqp", "-U", amqp_url]
    server = await start(*args, "-M", "server", "-H", "far")

    client = await start(*args, "-M", "client")

    assert await client.ends() == 0
    assert client.lines[0].startswith("client; hello world from far by program:greet; ")
    server.process.send_signal(signal.SIGTERM)
    assert await server.ends() == 0


async def test_server_that_is_told_to_stop_ends_its_programs(
    start: StartCommand, tmp_path: Path, amqp_url: str
) -> None:
    (tmp_path / "program.py").write_text(
        "import asyncio\n"
        "async def aiomain():\n"
        "    print('running', flush=True)\n"
        "    try:\n"
        "        await asyncio.Event().wait()\n"
        "    finally:\n"
        "        print('cleaned up')\n"
    )
    command = await start("run", "program.py", "-M", "server", "-U", amqp_url)
    await command.says("running")

    command.process.send_signal(signal.SIGINT)

    assert await command.ends() == 0
    assert command.lines[-1] == "cleaned up"
