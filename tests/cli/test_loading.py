from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from atasks_ng.cli import loading
from atasks_ng.cli.errors import CommandError
from atasks_ng.cli.loading import load_all, with_tasks
from atasks_ng.places.namespaces import namespaces


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A new module's name; the current folder is empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    name = f"module_{uuid.uuid4().hex}"
    yield name
    sys.modules.pop(name, None)


def test_module_is_found_in_the_current_folder(name: str) -> None:
    Path(f"{name}.py").write_text("x = 1")

    (module,) = load_all([name])

    assert module.x == 1


def test_file_is_known_by_its_stem(name: str) -> None:
    Path("deep").mkdir()
    Path("deep", f"{name}.py").write_text("x = __name__")

    (module,) = load_all([f"deep/{name}.py"])

    assert module.x == name
    assert sys.modules[name] is module


def test_file_can_import_what_lies_beside_it(name: str) -> None:
    Path("deep").mkdir()
    Path("deep", f"{name}.py").write_text(f"import {name}_beside")
    Path("deep", f"{name}_beside.py").write_text("")

    load_all([f"deep/{name}.py"])

    assert sys.modules.pop(f"{name}_beside")


def test_module_and_its_file_are_one(name: str) -> None:
    Path(f"{name}.py").write_text("")

    first, second = load_all([name, f"./{name}.py"])

    assert first is second


def test_file_that_would_hide_a_module_is_refused(name: str) -> None:
    Path("json.py").write_text("")

    with pytest.raises(CommandError, match=r"would be the module 'json', which is .*: give the"):
        load_all(["json.py"])


def test_file_that_fails_leaves_no_half_of_a_module(name: str) -> None:
    Path(f"{name}.py").write_text("x = 1\ny = z")

    with pytest.raises(CommandError, match=rf"NameError: name 'z' .*{name}.py, line 2\)"):
        load_all([f"{name}.py"])

    assert name not in sys.modules


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("(", "SyntaxError: .*line 1"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import nosuch_module", "ModuleNotFoundError: No module named 'nosuch_module'"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
    ],
)
def test_error_of_an_import_is_one_line(name: str, code: str, text: str) -> None:
    Path(f"{name}.py").write_text(code)

    with pytest.raises(CommandError, match=text) as caught:
        load_all([name])

    assert str(caught.value).startswith(f"cannot import {name!r}: ")
    assert "\n" not in str(caught.value)
    assert caught.value.status == 2


def test_error_that_a_library_raised_is_placed_in_the_users_file(name: str) -> None:
    Path(f"{name}.py").write_text(
        "import asyncio\n\n"
        "async def main():\n"
        "    async with asyncio.timeout(0):\n"
        "        await asyncio.Event().wait()\n\n"
        "asyncio.run(main())\n"
    )

    with pytest.raises(CommandError, match=rf"TimeoutError \(.*{name}\.py, line 4\)"):
        load_all([name])


def test_error_in_an_installed_module_is_placed_in_that_module(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(f"{name}.py").write_text("import json\nread = lambda: json.loads('(')\nread()\n")
    monkeypatch.setattr(loading, "_INSTALLED", {*loading._INSTALLED, str(Path.cwd())})

    with pytest.raises(CommandError, match=rf"JSONDecodeError.*{name}\.py, line 2\)"):
        load_all([name])


def test_folder_and_other_files_are_refused(name: str) -> None:
    Path("notes.txt").write_text("")

    with pytest.raises(CommandError, match=r"its name must end in \.py"):
        load_all(["./notes.txt"])
    with pytest.raises(CommandError, match="there is no file"):
        load_all(["./"])


def test_namespaces_with_tasks_are_those_the_modules_use(name: str) -> None:
    Path(f"{name}.py").write_text(
        f"from atasks_ng import atask\n@atask(namespace={name!r})\nasync def f(): ..."
    )
    namespaces.get(f"{name}-empty")

    load_all([name])

    found = [place.name for place in with_tasks()]
    assert name in found
    assert f"{name}-empty" not in found
