"""Heartbeats that a thread writes: where in the stream, for whom, and for how long."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import random
import socket
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import aiormq
import pytest

from atasks_ng.transport.backends.amqp.lane import Wire, keepalive
from atasks_ng.transport.backends.amqp.lane.frames import HEARTBEAT_FRAME
from atasks_ng.transport.backends.amqp.lane.pulse import Pulse, SharedTransport, pulse
from atasks_ng.transport.backends.amqp.links import Link
from atasks_ng.transport.backends.amqp.settings import Settings


class Far:
    """The other end of a socket, read by a thread."""

    def __init__(self, sock: socket.socket, pause: float = 0.0) -> None:
        self._sock = sock
        self._data = bytearray()
        self._pause = pause
        self.has_ended = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while data := self._sock.recv(50_000):
            self._data += data
            time.sleep(self._pause)
        self.has_ended.set()

    @property
    def data(self) -> bytes:
        return bytes(self._data)

    def close(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._sock.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    # Small, so that they are full soon.
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    near.setblocking(False)
    yield near, far
    near.close()
    far.close()


async def open_wire(sock: socket.socket, heartbeat: int = 0) -> Wire:
    wire = Wire(asyncio.get_running_loop())
    await wire._loop.create_connection(lambda: wire, sock=sock)
    wire.tune(0, heartbeat)
    return wire


async def lag_of_loop(seconds: float) -> float:
    """Let time pass; return for how long at most the loop did not turn meanwhile."""
    end = time.monotonic() + seconds
    longest = 0.0
    while (before := time.monotonic()) < end:
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - before)
    return longest


def parse(data: bytes) -> list[bytes]:
    """Return the payloads of a stream of heartbeats and of frames made by `frame`."""
    found, at = [], 0
    while at < len(data):
        if data[at] == HEARTBEAT_FRAME[0]:
            assert data[at : at + 8] == HEARTBEAT_FRAME
            found.append(HEARTBEAT_FRAME)
            at += 8
        else:
            assert data[at] == 1
            end = at + 5 + int.from_bytes(data[at + 1 : at + 5])
            found.append(data[at + 5 : end])
            at = end
    return found


def frame(payload: bytes) -> bytes:
    return b"\x01" + len(payload).to_bytes(4) + payload


async def test_heartbeats_fall_between_what_is_written_however_full_the_socket_is(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    near, sock = pair
    far = Far(sock, pause=0.0005)
    wire = await open_wire(near)
    rng = random.Random(1)
    payloads = [bytes([n % 256]) * rng.choice([1, 50, 5000, 60_000]) for n in range(400)]
    is_over = threading.Event()

    def beat() -> None:
        while not is_over.is_set():
            wire.transport.beat()
            time.sleep(rng.random() / 2000)

    thread = threading.Thread(target=beat)
    thread.start()
    writer = wire.writer()
    for payload in payloads:
        writer.write(frame(payload))
        if rng.random() < 0.3:
            await writer.drain()
        if rng.random() < 0.2:
            await asyncio.sleep(rng.random() / 200)
    await writer.drain()
    is_over.set()
    thread.join()
    wire.transport.close()
    await asyncio.to_thread(far.close)

    found = parse(far.data)
    assert [each for each in found if each != HEARTBEAT_FRAME] == payloads
    assert len(found) - len(payloads) > 20


async def test_no_heartbeat_is_written_while_something_waits_to_be_sent(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    near, sock = pair
    wire = await open_wire(near)
    wire.transport.write(frame(b"x" * 1_000_000))
    assert wire.transport.get_write_buffer_size()
    # There is room in the socket again, but what waits comes first.
    taken = len(sock.recv(100_000))

    wire.transport.beat()
    far = Far(sock)
    await until(lambda: not wire.transport.get_write_buffer_size())
    wire.transport.beat()
    wire.transport.close()
    await asyncio.to_thread(far.close)

    assert taken + len(far.data) == 1_000_005 + 8
    assert far.data.endswith(b"x" + HEARTBEAT_FRAME)


class SlowTransport(asyncio.Transport):
    """Writes to a socket in two parts, and lets somebody do something between them."""

    def __init__(self, sock: socket.socket, between: Callable[[], None]) -> None:
        super().__init__()
        self._sock = sock
        self._between = between

    def write(self, data: Any) -> None:
        self._sock.sendall(data[:10])
        self._between()
        self._sock.sendall(data[10:])

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high == 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._sock if name == "socket" else default


def test_no_heartbeat_is_written_while_the_loop_writes(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    near, sock = pair
    shared: SharedTransport

    def beat() -> None:
        thread = threading.Thread(target=shared.beat)
        thread.start()
        thread.join(5)
        assert not thread.is_alive()

    shared = SharedTransport(SlowTransport(near, beat))
    shared.write(frame(b"a frame in two parts"))
    beat()
    shared.release()

    assert parse(sock.recv(1000)) == [b"a frame in two parts", HEARTBEAT_FRAME]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
async def test_a_forked_process_writes_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    near, sock = pair
    wire = await open_wire(near)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        pid = os.fork()
    if not pid:
        wire.transport.write(frame(b"of the child"))
        os._exit(0)

    os.waitpid(pid, 0)  # noqa: ASYNC222  # it ends at once
    wire.transport.write(frame(b"of the parent"))

    assert parse(sock.recv(1000)) == [b"of the parent"]
    wire.abort()
    await asyncio.sleep(0)  # asyncio closes the socket now


class HalfSocket:
    """Takes some bytes at a time, as a socket may that is nearly full."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self.takes = 3

    def send(self, data: bytes) -> int:
        sent: int = self._sock.send(data[: self.takes])
        return sent

    def close(self) -> None:
        self._sock.close()


async def test_the_rest_of_a_heartbeat_goes_before_anything_else(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    near, sock = pair
    far = Far(sock)
    wire = await open_wire(near)
    half: Any = HalfSocket(wire.transport._socket)
    wire.transport._socket = half

    wire.transport.beat()
    wire.transport.beat()
    wire.transport.write(frame(b"after two parts"))
    half.takes = 8
    wire.transport.beat()
    wire.transport.close()
    await asyncio.to_thread(far.close)

    assert parse(far.data) == [HEARTBEAT_FRAME, b"after two parts", HEARTBEAT_FRAME]


@pytest.mark.parametrize("ending", ["close", "abort", "write_eof", "fail"])
async def test_the_copy_of_a_socket_does_not_keep_the_connection_open(
    pair: tuple[socket.socket, socket.socket], ending: str
) -> None:
    near, sock = pair
    far = Far(sock)
    wire = await open_wire(near, heartbeat=1)

    if ending == "fail":
        wire.fail("planted")
    else:
        getattr(wire.transport, ending)()
    assert await asyncio.to_thread(far.has_ended.wait, 5)
    wire.transport.beat()
    wire.abort()
    await asyncio.to_thread(far.close)

    assert far.data == b""
    assert not wire.transport.can_beat


# -- the thread --------------------------------------------------------------------------------


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "atasks_ng heartbeats"]


async def until(holds: Callable[[], bool], timeout: float = 10.0) -> None:
    async with asyncio.timeout(timeout):
        while not holds():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)


async def test_one_thread_lives_as_long_as_there_are_connections() -> None:
    sockets = [socket.socketpair() for _ in range(3)]
    wires = [await open_wire(near, heartbeat=60) for near, _ in sockets]
    assert len(threads()) == 1

    for wire in wires[1:]:
        wire.abort()
    await asyncio.sleep(0.05)
    assert len(threads()) == 1
    wires[0].abort()

    await until(lambda: threads() == [])
    assert not pulse.is_running
    for _, far in sockets:
        far.close()


async def test_no_thread_is_needed_without_heartbeats(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    wire = await open_wire(pair[0], heartbeat=0)

    assert threads() == []
    wire.abort()


async def test_no_heartbeat_is_written_while_the_loop_turns(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    near, sock = pair
    far = Far(sock)
    wire = await open_wire(near, heartbeat=1)

    # Where the machine is busy with something else, the loop may have stood.
    turned = await lag_of_loop(seconds=1.5)
    while_it_turned = far.data
    time.sleep(1.5)  # noqa: ASYNC251  # what is tested
    while_it_stood = len(far.data) - len(while_it_turned)
    wire.abort()
    await asyncio.to_thread(far.close)

    assert while_it_turned == b"" or turned > 0.2
    assert while_it_stood >= 2 * len(HEARTBEAT_FRAME)
    assert far.data == HEARTBEAT_FRAME * (len(far.data) // len(HEARTBEAT_FRAME))


def test_a_loop_that_is_closed_is_given_up(pair: tuple[socket.socket, socket.socket]) -> None:
    near, sock = pair
    far = Far(sock)
    loop = asyncio.new_event_loop()
    wire = loop.run_until_complete(open_wire(near, heartbeat=1))

    # As a program does that ends without letting go of what it has opened.
    loop.close()
    near.close()
    has_ended = far.has_ended.wait(5)
    can_beat = wire.transport.can_beat
    gone, end = weakref.ref(wire), time.monotonic() + 5
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        del wire
        # The thread may hold it for a moment more, having just closed its socket.
        while gone() is not None and time.monotonic() < end:
            gc.collect()
            time.sleep(0.001)
    far.close()

    assert has_ended
    assert not can_beat


async def test_a_loop_that_hangs_for_good_is_given_up(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepalive, "LONGEST_BLOCK", 1.2)
    near, sock = pair
    far = Far(sock)
    wire = await open_wire(near, heartbeat=1)

    time.sleep(2.5)  # noqa: ASYNC251  # what is tested
    assert not wire.transport.can_beat
    wire.abort()
    await asyncio.to_thread(far.close)

    assert 1 <= len(far.data) / 8 <= 3


class Heart:
    """A connection that only counts how often it is looked after."""

    def __init__(self, look_every: float, looks: int) -> None:
        self.look_every = look_every
        self.looks: list[float] = []
        self.given_up = threading.Event()
        self._most = looks

    def look(self, now: float) -> bool:
        self.looks.append(now)
        return len(self.looks) < self._most

    def give_up(self) -> None:
        self.given_up.set()


def test_the_thread_wakes_as_often_as_the_shortest_heartbeat_needs() -> None:
    other = Pulse()
    slow, quick = Heart(60, 100), Heart(0.1, 5)

    other.add(slow)
    begin = time.monotonic()
    other.add(quick)
    assert quick.given_up.wait(10)
    lasted = time.monotonic() - begin
    assert other.is_running
    other.discard(slow)

    assert lasted >= 0.5
    gaps = [after - before for before, after in itertools.pairwise(quick.looks)]
    assert min(gaps) >= 0.09


FORKING = """
import asyncio, os, socket, threading, time
from atasks_ng.transport.backends.amqp.lane import Wire
from atasks_ng.transport.backends.amqp.lane.pulse import pulse

async def open_wire():
    near, far = socket.socketpair()
    wire = Wire(asyncio.get_running_loop())
    await wire._loop.create_connection(lambda: wire, sock=near)
    wire.tune(0, 1)
    return wire, far

async def check():
    wire, far = await open_wire()
    time.sleep(1)
    assert far.recv(100).startswith(b"\\x08"), "no heartbeat"
    wire.abort()

async def main():
    wire, far = await open_wire()
    # As if the thread had been just about to write.
    wire.transport._lock.acquire()
    pid = os.fork()
    if not pid:
        try:
            assert not pulse.is_running
            assert not wire.transport.can_beat
            done = []
            thread = threading.Thread(target=lambda: done.append(asyncio.run(check())))
            thread.start()
            thread.join(10)
            os._exit(0 if done else 1)
        finally:
            os._exit(2)
    wire.transport._lock.release()
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert pulse.is_running and wire.transport.can_beat
    print("done")
    # The loop is never let go of: the end of the interpreter must not wait for the thread.

asyncio.run(main())
"""


def test_a_process_that_was_forked_begins_anew() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


# -- what aiormq is told -----------------------------------------------------------------------


async def test_a_link_is_not_taken_for_dead_before_what_has_come_is_read(amqp_url: str) -> None:
    link = Link(Settings(amqp_url, heartbeat=1), "test")
    await link.open()
    await asyncio.sleep(1)
    connection = link.connection

    # Longer than aiormq's patience; then it asks before it has read anything.
    time.sleep(6.5)  # noqa: ASYNC251  # what is tested
    aiormq_says = aiormq.Connection.is_connection_was_stuck.fget(connection)  # type: ignore[attr-defined]
    we_say = connection.is_connection_was_stuck
    await asyncio.sleep(2)
    is_open = connection.is_opened
    await link.close()

    assert (aiormq_says, we_say, is_open) == (True, False, True)
