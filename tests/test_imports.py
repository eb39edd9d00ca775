"""Importing the library is cheap, and what its modules promise to export is there."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import atasks_ng

MODULES = [
    info.name
    for info in pkgutil.walk_packages(atasks_ng.__path__, "atasks_ng.")
    # Importing it runs the command.
    if info.name != "atasks_ng.__main__"
]

#: What a program that only awaits has no use for.
HEAVY = [
    "aiormq",
    "argparse",
    "atasks_ng.cli",
    "atasks_ng.observe",
    "atasks_ng.testing",
    "cloudpickle",
    "cryptography",
    "hypothesis",
    "multiprocessing",
    "numpy",
    "opentelemetry",
    "prometheus_client",
    "pydantic",
    "subprocess",
    "typeguard",
]


def modules_after(program: str) -> set[str]:
    """Return what a fresh process has imported after a program, beside what asyncio imports."""
    show = "import sys; print('\\n'.join(sys.modules))"
    found = []
    for text in (f"import asyncio; {show}", f"{program}; {show}"):
        done = subprocess.run(
            [sys.executable, "-c", text],
            cwd=Path(atasks_ng.__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        found.append(set(done.stdout.split()))
    return found[1] - found[0]


@pytest.mark.parametrize(
    "program",
    [
        "import atasks_ng",
        "from atasks_ng import *",
        "import atasks_ng.codecs, atasks_ng.router, atasks_ng.tasks, atasks_ng.transport",
    ],
)
def test_import_loads_nothing_heavy(program: str) -> None:
    loaded = modules_after(program)

    assert "atasks_ng.tasks" in loaded
    assert sorted(loaded.intersection(HEAVY)) == []


def test_loopback_loads_no_client_of_a_broker() -> None:
    program = (
        "import asyncio, atasks_ng; "
        "answer = atasks_ng.atask(asyncio.sleep, name='sleep'); "
        "atasks_ng.run(answer(0, 42), url='loopback://')"
    )

    assert sorted(modules_after(program).intersection(HEAVY)) == []


@pytest.mark.parametrize("name", MODULES)
def test_every_name_that_a_module_exports_is_there(name: str) -> None:
    module = importlib.import_module(name)

    missing = [each for each in getattr(module, "__all__", ()) if not hasattr(module, each)]

    assert missing == []


@pytest.mark.parametrize("name", [name for name in MODULES if "._" not in name])
def test_every_module_says_what_it_is(name: str) -> None:
    documentation = importlib.import_module(name).__doc__

    assert documentation
    assert documentation.strip()


@pytest.mark.parametrize(
    "name",
    ["atasks_ng", "atasks_ng.codecs", "atasks_ng.transport", "atasks_ng.transport.base"],
)
def test_public_package_lists_what_it_exports_in_order(name: str) -> None:
    exported = importlib.import_module(name).__all__

    assert exported
    assert len(exported) == len(set(exported))
    assert exported == sorted(exported)


def test_unknown_name_of_a_module_with_late_names_is_an_attribute_error() -> None:
    base = importlib.import_module("atasks_ng.transport.base")

    with pytest.raises(AttributeError, match="'no_such_name'"):
        _ = base.no_such_name


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("atasks_ng.tasks", ["atask"]),
        (
            "atasks_ng.router",
            [
                "JobNotFound",
                "NoClientTransportRegistered",
                "NoCodecRegistered",
                "Router",
                "TransportError",
                "get_router",
            ],
        ),
        ("atasks_ng.codecs", ["Codec", "PickleCodec", "get_codec"]),
        (
            "atasks_ng.transport.base",
            [
                "ConnectionLostError",
                "LoopbackTransport",
                "RequestTimeoutError",
                "Transport",
                "get_transport",
            ],
        ),
        ("atasks_ng.transport.backends.amqp", ["AMQPTransport"]),
    ],
)
def test_names_of_the_predecessor_are_under_its_paths(module: str, names: list[str]) -> None:
    found = importlib.import_module(module)

    assert [name for name in names if not hasattr(found, name)] == []
