"""Links that are cut at each step of the protocol."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import pytest

from atasks_ng import connect, serve
from atasks_ng.testing.proxy import Filter, Proxy
from tests.faults.frames import DELIVER, PUBLISH, Splitter, method_of
from tests.faults.places import HANGS_AFTER, SLACK, Place, link, shown, until

CALLS = 20

#: How a link ends.
ENDS = [pytest.param(False, id="FIN"), pytest.param(True, id="RST")]


class Cutter:
    """
    Cuts all connections of a proxy once, behind the byte at which a condition holds.

    Args:
        finds: Asked about each frame of each connection, ``(to_server, number, frame)``, the
            number counting the frames of that direction; returns how many bytes of the frame
            still pass, or ``None`` if it is not the one.
        reset: Cut by RST.
    """

    def __init__(self, finds: Callable[[bool, int, bytes], int | None], *, reset: bool) -> None:
        self.has_cut = False
        self.armed = False
        self.proxy: Proxy | None = None
        self._finds = finds
        self._reset = reset

    def make_filter(self) -> Filter:
        """Return the filter of one connection."""
        splitters = {True: Splitter(), False: Splitter()}
        numbers = {True: 0, False: 0}

        def passing(to_server: bool, data: bytes) -> bytes:
            frames = splitters[to_server].take(data)
            if not self.armed or self.has_cut:
                return b"".join(frames)
            passed = b""
            for frame in frames:
                numbers[to_server] += 1
                size = self._finds(to_server, numbers[to_server], frame)
                if size is not None and not self.has_cut:
                    self._cut()
                    return passed + frame[:size]
                passed += frame
            return passed

        return passing

    def _cut(self) -> None:
        self.has_cut = True
        assert self.proxy is not None
        # What is returned now is passed on in this step of the loop.
        asyncio.get_running_loop().call_soon(lambda: self.proxy.cut(reset=self._reset))


@contextlib.asynccontextmanager
async def place_with(place: Place, cutter: Cutter, *, at_worker: bool) -> AsyncIterator[None]:
    """Open a worker and a caller, one of them behind the cutter; both in this process."""
    with link(place.url, cutter.make_filter) as (proxy, url):
        cutter.proxy = proxy
        worker = serve(url if at_worker else place.url, namespace=place.namespace, grace=5)
        async with worker, connect(place.url if at_worker else url, namespace=place.namespace):
            assert await place.tasks.echo("before") == "before"
            cutter.armed = True
            yield


def frame_of(method: tuple[int, int], to_server: bool, passed: int) -> Callable[..., int | None]:
    """Find a frame by its method; ``passed`` bytes of it pass."""

    def finds(direction: bool, number: int, frame: bytes) -> int | None:
        return passed if direction == to_server and method_of(frame) == method else None

    return finds


def large_frame(to_server: bool) -> Callable[..., int | None]:
    """Find a frame of a large body, and cut in its middle."""

    def finds(direction: bool, number: int, frame: bytes) -> int | None:
        return len(frame) // 2 if direction == to_server and len(frame) > 100_000 else None

    return finds


#: A frame passes whole.
WHOLE = 2**30

STEPS = {
    "caller, before its request": (frame_of(PUBLISH, True, 0), False),
    "caller, within its request": (frame_of(PUBLISH, True, 5), False),
    "caller, behind its request": (frame_of(PUBLISH, True, WHOLE), False),
    "caller, before the answer": (frame_of(DELIVER, False, 0), False),
    "caller, within the answer": (frame_of(DELIVER, False, 9), False),
    "caller, within a large request": (large_frame(True), False),
    "caller, within a large answer": (large_frame(False), False),
    "worker, before a request": (frame_of(DELIVER, False, 0), True),
    "worker, within a request": (frame_of(DELIVER, False, 9), True),
    "worker, behind a request": (frame_of(DELIVER, False, WHOLE), True),
    "worker, before its answer": (frame_of(PUBLISH, True, 0), True),
    "worker, within its answer": (frame_of(PUBLISH, True, 5), True),
    "worker, behind its answer": (frame_of(PUBLISH, True, WHOLE), True),
    "worker, within a large request": (large_frame(False), True),
    "worker, within a large answer": (large_frame(True), True),
}


@pytest.mark.parametrize("reset", ENDS)
@pytest.mark.parametrize("step", STEPS)
async def test_calls_end_once_and_right_when_the_link_is_cut_at(
    place: Place, step: str, reset: bool
) -> None:
    finds, at_worker = STEPS[step]
    cutter = Cutter(finds, reset=reset)
    large = bytes(range(256)) * 1024
    async with place_with(place, cutter, at_worker=at_worker):
        results = [large if i % 5 == 0 else i for i in range(CALLS)]
        begin = time.monotonic()
        async with asyncio.timeout(HANGS_AFTER):
            found = await asyncio.gather(
                *[place.tasks.work(f"c{i}", None, result) for i, result in enumerate(results)]
            )
        taken = time.monotonic() - begin

    assert cutter.has_cut
    assert found == results
    # The worker knows what it has run, and the caller's word is asked for the rest.
    assert place.ledger.count() == CALLS
    shown(f"{CALLS} calls around a cut took", taken)
    assert taken < 1.0 * SLACK


@pytest.mark.parametrize("reset", ENDS)
@pytest.mark.parametrize("number", range(1, 8))
async def test_link_is_made_although_it_is_cut_while_it_opens_after_frame(
    place: Place, number: int, reset: bool
) -> None:
    def finds(to_server: bool, frame_number: int, frame: bytes) -> int | None:
        return len(frame) // 2 if to_server and frame_number == number else None

    cutter = Cutter(finds, reset=reset)
    with link(place.url, cutter.make_filter) as (proxy, url):
        cutter.proxy = proxy
        async with (
            serve(place.url, namespace=place.namespace),
            connect(url, namespace=place.namespace),
        ):
            call = asyncio.ensure_future(place.tasks.work("c", place.gate))
            await place.ledger.reaches(1)
            cutter.armed = True
            proxy.cut(reset=reset)
            await until(lambda: cutter.has_cut)
            place.gate.touch()

            assert await asyncio.wait_for(call, HANGS_AFTER) == "c"
            assert await asyncio.wait_for(place.tasks.echo(1), HANGS_AFTER) == 1
    assert place.ledger.count() == 1


async def test_process_that_cannot_connect_dials_twice_a_second_at_most(place: Place) -> None:
    with link(place.url) as (proxy, url):
        async with connect(url, namespace=place.namespace):
            proxy.refuse()
            before, begin = proxy.accepted, time.monotonic()
            proxy.cut()
            await asyncio.sleep(2)
            dials = proxy.accepted - before
            seconds = time.monotonic() - begin
            proxy.refuse(False)

    shown("dials a second", dials / seconds, "")
    # The first comes at once.
    assert 1 <= dials <= 1 + 2 * seconds


async def test_connection_that_never_opens_is_an_error_in_time(place: Place) -> None:
    def make_filter() -> Filter:
        return lambda to_server, data: data if to_server else b""

    with link(place.url, make_filter) as (_, url):
        begin = time.monotonic()
        with pytest.raises(ConnectionError):
            async with connect(url, namespace=place.namespace, request_timeout=0.5):
                pass
        shown("an endpoint that says nothing was given up after", time.monotonic() - begin)
        assert time.monotonic() - begin < 0.5 + 1.0 * SLACK
