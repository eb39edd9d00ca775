"""The standard library analysed: a call per file, nested in one per package, and all checked."""

import asyncio
import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from unittest.mock import patch

from atasks_ng import atask

from ._analysis import Facts, combine, examine, packages, table
from ._progress import progress


@atask
async def analyse_file(path: str) -> Facts:
    return examine(path)


@atask
async def analyse_package(name: str, paths: list[str]) -> Facts:
    return combine(name, await asyncio.gather(*map(analyse_file, paths)))


async def analyse(limit: int) -> list[Facts]:
    found = packages(limit)
    with progress(sum(map(len, found.values())), "files") as bar:

        async def tracked(name: str, paths: list[str]) -> Facts:
            facts = await analyse_package(name, paths)
            bar.update(len(paths))
            return facts

        return await asyncio.gather(*[tracked(*each) for each in found.items()])


def undecorated() -> ModuleType:
    """Return this module, loaded a second time with a decorator that does nothing."""
    spec = find_spec(__name__)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    with patch("atasks_ng.atask", lambda function: function):
        spec.loader.exec_module(module)
    return module


async def main(limit: int = 0) -> None:
    report = table(await analyse(limit))
    print(report)
    if table(await undecorated().analyse(limit)) != report:
        sys.exit("the same analysis without the decorator: DIFFERENT")
    print("the same analysis without the decorator: identical")
