"""What blocks the event loop is named."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from atasks_ng.worker.watchdog import Watchdog


async def _blocks_on_purpose(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251  # what the watchdog is there to see


async def test_watchdog_names_the_task_and_the_line_that_block(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watchdog = Watchdog(stall=0.05)
    watchdog.start()

    with caplog.at_level(logging.WARNING, "atasks_ng.worker"):
        await asyncio.create_task(_blocks_on_purpose(0.3), name="m:f 1234")
        await asyncio.sleep(0.05)
    watchdog.stop()

    while_it_blocked, afterwards = [record.getMessage() for record in caplog.records]
    assert "m:f 1234 has blocked the event loop for 0." in while_it_blocked
    assert "_blocks_on_purpose" in while_it_blocked
    assert "turns again: m:f 1234 blocked it for 0.3 s" in afterwards


async def test_watchdog_reports_each_block_once(caplog: pytest.LogCaptureFixture) -> None:
    watchdog = Watchdog(stall=0.3)
    watchdog.start()

    with caplog.at_level(logging.WARNING, "atasks_ng.worker"):
        for number in range(2):
            await asyncio.create_task(_blocks_on_purpose(0.8), name=f"m:f {number}")
            await asyncio.sleep(0.02)
    watchdog.stop()

    blamed = [record.getMessage().split(" has blocked")[0] for record in caplog.records[::2]]
    assert blamed == ["m:f 0", "m:f 1"]
    assert len(caplog.records) == 4


async def test_watchdog_says_nothing_while_the_loop_turns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watchdog = Watchdog(stall=2.0)
    watchdog.start()

    with caplog.at_level(logging.WARNING, "atasks_ng.worker"):
        await asyncio.sleep(0.05)
    watchdog.stop()

    assert caplog.text == ""
