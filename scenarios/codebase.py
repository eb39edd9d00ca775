"""The standard library, analysed: a call per file, nested in a call per package; and a check."""

import asyncio
import inspect
import sys
from typing import Any

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


def undecorated() -> dict[str, Any]:
    """Return what this module defines when the decorator is taken out of its source."""
    source = inspect.getsource(sys.modules[__name__]).replace("@atask\n", "")
    names = {"__name__": f"{__name__}_undecorated", "__package__": __package__}
    exec(compile(source, "<codebase without @atask>", "exec"), names)
    return names


async def main(limit: int = 0) -> None:
    report = table(await analyse(limit))
    print(report)
    if table(await undecorated()["analyse"](limit)) != report:
        sys.exit("the same analysis without the decorator: DIFFERENT")
    print("the same analysis without the decorator: identical")
