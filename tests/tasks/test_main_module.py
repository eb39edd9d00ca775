"""Tasks of the program itself: defined in ``__main__``, in a file or a module."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import asyncio, dataclasses, pickle
from atasks_ng import atask, connect
from atasks_ng.places.namespaces import namespaces

@dataclasses.dataclass
class Point:
    x: int

class OwnError(Exception):
    pass

@atask
async def moved(point: Point) -> Point:
    return Point(point.x + 1)

@atask
async def fails():
    raise OwnError("mine")

async def main():
    async with connect("loopback://"):
        print(await moved(Point(1)))
        try:
            await fails()
        except OwnError as exc:
            print("caught", exc)
    print(pickle.loads(pickle.dumps(moved)) is moved)
    print([task.name for task in namespaces.get("default").registry])

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "shapes.py"
    path.write_text(PROGRAM)
    return path


@pytest.mark.parametrize("how", ["file", "module"])
def test_tasks_of_the_main_module_work_and_are_named_as_others_import_it(
    program: Path, how: str
) -> None:
    command = [sys.executable, *(["shapes.py"] if how == "file" else ["-m", "shapes"])]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])

    done = subprocess.run(
        command,
        cwd=program.parent,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "Point(x=2)",
        "caught mine",
        "True",
        "['shapes:moved', 'shapes:fails']",
    ]
