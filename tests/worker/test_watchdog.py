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
        for _ in range(100):
            if "turns again" in caplog.text:
                break
            await asyncio.sleep(0.02)
    watchdog.stop()

    assert "m:f 1234 has blocked the event loop" in caplog.text
    assert "_blocks_on_purpose" in caplog.text
    assert "turns again" in caplog.text


async def test_watchdog_says_nothing_while_the_loop_turns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watchdog = Watchdog(stall=2.0)
    watchdog.start()

    with caplog.at_level(logging.WARNING, "atasks_ng.worker"):
        await asyncio.sleep(0.05)
    watchdog.stop()

    assert caplog.text == ""
