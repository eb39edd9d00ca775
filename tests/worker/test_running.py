"""``run``: tasks from a program that has no event loop."""

from __future__ import annotations

import asyncio

import pytest

from atasks_ng import atask, errors, run


@atask(namespace="running")
async def square(x: int) -> int:
    return x * x


async def test_run_within_a_loop_is_refused_without_a_warning() -> None:
    main = asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="running event loop"):
        run(main)


def test_run_performs_the_call_of_a_task() -> None:
    assert run(square(4), namespace="running") == 16


def test_run_raises_what_the_coroutine_raises() -> None:
    async def main() -> None:
        raise KeyError(await square(3))

    with pytest.raises(KeyError, match="9"):
        run(main(), namespace="running")


def test_run_takes_the_url_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATASKS_NG_URL", "nothing://")

    # Warnings are errors here: the coroutine must not be reported as never awaited.
    with pytest.raises(errors.BadURLError, match="nothing"):
        run(square(4), namespace="running")


def test_run_refuses_what_is_no_coroutine() -> None:
    with pytest.raises(TypeError, match=r"as in run\(main\(\)\)"):
        run(square, namespace="running")  # type: ignore[arg-type]
