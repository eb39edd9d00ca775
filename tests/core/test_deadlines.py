"""A deadline is told as one, whichever side's clock strikes first."""

from __future__ import annotations

import asyncio

import pytest

from atasks_ng import atask, connect
from atasks_ng.words.errors import DeadlineError


@atask
async def nap(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def test_deadline_is_never_told_as_a_cancel() -> None:
    async with connect("loopback://"):
        # Times that are a little less than a whole number of milliseconds when added to a clock.
        calls = [nap.options(timeout=0.1 + n / 1000)(5) for n in range(100)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {DeadlineError}


async def test_deadline_of_the_callee_is_told_as_a_deadline_when_it_comes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from atasks_ng.core.outgoing import Outgoing

    short = Outgoing._set_deadline
    monkeypatch.setattr(Outgoing, "_set_deadline", lambda *args: short(*args) and 20)

    async with connect("loopback://"):
        with pytest.raises(DeadlineError):
            await nap.options(timeout=10)(5)
