"""The endpoint that orchestrators ask."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable

import pytest

from atasks_ng import serve
from atasks_ng.testing.proxy import Proxy
from atasks_ng.words.errors import OptionError
from atasks_ng.worker.health import Address, Health, refuse_taken


async def _get(port: int, request: str) -> tuple[int, dict[str, object]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{request} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body) if body else {}


async def test_worker_is_ready_while_it_is_open() -> None:
    worker = serve("loopback://")
    health = Health(worker, Address(0))
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
    health = Health(serve("loopback://"), Address(0))
    await health.open()

    found, _ = await _get(health.port, request_line)
    await health.close()

    assert found == status


def test_port_out_of_range_is_refused() -> None:
    with pytest.raises(OptionError, match="health port 70000"):
        Address(70000)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8080", Address(8080)),
        (":8080", Address(8080)),
        ("127.0.0.1:8080", Address(8080, "127.0.0.1")),
        ("localhost:8080", Address(8080, "localhost")),
        ("[::1]:8080", Address(8080, "::1")),
    ],
)
def test_address_is_read_as_it_is_shown(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize("text", ["", "x", "localhost:", "localhost", "::1:8080", "-1", "1.5", "²"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="give PORT, HOST:PORT"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("127.0.0.1", "Address already in use"),
        # Python 3.13 says less.
        ("192.0.2.1", "(assign requested|could not bind)"),
    ],
)
async def test_where_nobody_can_listen_is_said_in_a_sentence(host: str, why: str) -> None:
    taken = Health(serve("loopback://"), Address(0))
    await taken.open()
    address = Address(taken.port, host)

    for listening in (refuse_taken([address]), Health(serve("loopback://"), address).open()):
        with pytest.raises(OptionError, match=rf"at {address} \(.*{why}.*\): give another port"):
            await listening
    await taken.close()


async def test_host_keeps_others_out() -> None:
    health = Health(serve("loopback://"), Address(0, "127.0.0.1"))
    await health.open()

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.2", health.port)
    live, _ = await _get(health.port, "GET /live")
    await health.close()

    assert live == 200


async def test_worker_is_not_ready_while_its_link_is_away(amqp_url: str) -> None:
    host, _, rest = amqp_url.rpartition("@")[2].partition(":")
    with Proxy(host, int(rest.partition("/")[0])) as proxy:
        url = f"{amqp_url.rpartition('@')[0]}@127.0.0.1:{proxy.port}/"
        worker = serve(f"{url}?prefix=t{uuid.uuid4().hex}")
        health = Health(worker, Address(0))
        await health.open()

        async with worker:
            statuses = [await _get(health.port, "GET /ready")]
            proxy.refuse()
            proxy.cut()
            await _until(lambda: not worker.is_linked)
            statuses.append(await _get(health.port, "GET /ready"))
            live, _ = await _get(health.port, "GET /live")
            proxy.refuse(False)
            await _until(lambda: worker.is_linked)
            statuses.append(await _get(health.port, "GET /ready"))
        await health.close()

    assert [status for status, _ in statuses] == [200, 503, 200]
    assert [told["linked"] for _, told in statuses] == [True, False, True]
    assert live == 200


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110  # nothing tells it
            await asyncio.sleep(0.01)
