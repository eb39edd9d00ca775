"""The endpoint that orchestrators ask."""

from __future__ import annotations

import asyncio
import json

import pytest

from atasks_ng import serve
from atasks_ng.words.errors import OptionError
from atasks_ng.worker.health import Health


async def _get(port: int, request: str) -> tuple[int, dict[str, object]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{request} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body) if body else {}


async def test_worker_is_ready_while_it_is_open() -> None:
    worker = serve("loopback://")
    health = Health(worker, 0)
    await health.open()

    before, _ = await _get(health.port, "GET /ready")
    async with worker:
        during, told = await _get(health.port, "GET /ready")
    after, _ = await _get(health.port, "GET /ready")
    live, _ = await _get(health.port, "GET /live")
    await health.close()

    assert (before, during, after, live) == (503, 200, 503, 200)
    assert told["state"] == "open"
    assert told["performed"] == 0


@pytest.mark.parametrize(
    ("request_line", "status"), [("GET /other", 404), ("POST /live", 405), ("HEAD /live", 200)]
)
async def test_endpoint_answers_what_is_no_probe(request_line: str, status: int) -> None:
    health = Health(serve("loopback://"), 0)
    await health.open()

    found, _ = await _get(health.port, request_line)
    await health.close()

    assert found == status


def test_port_out_of_range_is_refused() -> None:
    with pytest.raises(OptionError, match="health port 70000"):
        Health(serve("loopback://"), 70000)
