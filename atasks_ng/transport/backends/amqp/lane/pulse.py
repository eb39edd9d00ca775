"""
Heartbeats for as long as an event loop does not turn.

A body that blocks the loop keeps aiormq from sending heartbeats, and after two that are missing the
broker drops the link and hands all calls of this process to others. So one thread of the process
looks, a few times in each heartbeat, whether the loop of each connection still turns; for one that
does not, it writes the heartbeat to the socket itself.

* It writes only between frames: everything goes to asyncio's transport through a
  :class:`SharedTransport`, under a lock, and the thread writes only if nothing of it waits in this
  process. If a heartbeat is cut, its rest goes before whatever is written next.
* It cannot run while C code holds the interpreter's lock.
* It does not write over TLS: what asyncio's transport does with the TLS session, reading included,
  is under no lock of ours, and a session does not bear two threads.
* It gives up on a loop that has stood still for half an hour, so that the calls of a process that
  hangs for good come to others in the end.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
import weakref
from contextlib import AbstractContextManager
from typing import Any, Protocol

from .frames import HEARTBEAT_FRAME

# How often, in each heartbeat, the thread looks. The broker waits for two, and aiormq sends one
# every half: at worst 1/2 + 2/3 of one pass without a byte.
LOOKS = 3

#: Seconds after which a loop that stands still is given up. 1800: what RabbitMQ gives a consumer
#: by default to acknowledge a message; then it takes the calls away in any case.
LONGEST_BLOCK = 1800.0


class SharedTransport(asyncio.Transport):
    """
    What is written to a connection: by its loop, and while that stands still, by the thread.

    Args:
        transport: asyncio's. If the thread can write to its socket, it tells its protocol from
            now on of the first byte that it keeps (``pause_writing``), and when it has none
            (``resume_writing``).

    Attributes:
        is_clear: True while asyncio's transport keeps nothing; the protocol sets it.
        written_bytes: All that was written by the loop.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self.is_clear = True
        self.written_bytes = 0
        self._transport = transport
        # Reentrant: a handler of a signal may run, and write, within write().
        self._lock = threading.RLock()
        self._socket = _duplicate(transport)
        self._rest = b""
        self._is_parents = False
        _opened.add(self)
        if self._socket is not None:
            # What get_write_buffer_size() tells another thread is not always true: while asyncio
            # sends, a piece may be neither in the buffer nor sent.
            transport.set_write_buffer_limits(high=0)

    @property
    def can_beat(self) -> bool:
        """True if the thread can write here."""
        return self._socket is not None

    def beat(self) -> None:
        """Write a heartbeat, if that can be done between two frames; the thread calls this."""
        # Not waiting: the thread has other loops to look after, and this one is just writing.
        if not self._lock.acquire(blocking=False):
            return
        try:
            is_clear = self.is_clear and not self._transport.get_write_buffer_size()
            if self._socket is not None and is_clear:
                data = self._rest or HEARTBEAT_FRAME
                self._rest = data[self._socket.send(data) :]
        except (BlockingIOError, InterruptedError):
            pass  # the socket is full: the broker has enough to read
        except OSError:
            self.release()  # the link is lost, as the loop will find out
        finally:
            self._lock.release()

    def release(self) -> None:
        """Let the thread write no more; to be called before the socket is closed."""
        with self._lock:
            sock, self._socket = self._socket, None
            if sock is not None:
                # The connection would stay open with this copy of the socket.
                sock.close()

    def forget(self) -> None:
        """Let go of the parent's connection in a process that was forked."""
        # Whoever held the old one is not in this process.
        self._lock = threading.RLock()
        # A copy of the parent's loop may run here, with its timers. What they write is dropped: the
        # broker would read it between the parent's frames.
        self._is_parents = True
        self.release()

    # -- what the loop calls -------------------------------------------------------------------

    def whole(self) -> AbstractContextManager[object]:
        """Return what keeps the thread from writing between two writes, of one frame perhaps."""
        return self._lock

    def write(self, data: Any) -> None:
        if self._is_parents:
            return
        with self._lock:
            if self._rest:
                rest, self._rest = self._rest, b""
                self._transport.write(rest)
            self.written_bytes += len(data)
            self._transport.write(data)

    def write_eof(self) -> None:
        self.release()
        self._transport.write_eof()

    def close(self) -> None:
        self.release()
        self._transport.close()

    def abort(self) -> None:
        self.release()
        self._transport.abort()

    def can_write_eof(self) -> bool:
        return self._transport.can_write_eof()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def is_reading(self) -> bool:
        return self._transport.is_reading()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)


def _duplicate(transport: asyncio.Transport) -> socket.socket | None:
    """Return a copy of a socket: asyncio's number may stand for another one once it is closed."""
    sock = transport.get_extra_info("socket")
    if sock is None or transport.get_extra_info("ssl_object") is not None:
        return None
    try:
        return socket.fromfd(sock.fileno(), sock.family, sock.type, sock.proto)
    except OSError:
        return None


class Heart(Protocol):
    """A connection that needs heartbeats."""

    @property
    def look_every(self) -> float:
        """How often to look after it, in seconds."""

    def look(self, now: float) -> bool:
        """Send a heartbeat if its loop stands still; return False if it needs no more."""

    def give_up(self) -> None:
        """It is looked after no more."""


class Pulse:
    """
    Look after connections, in a thread that lives as long as there are any.

    Nothing is logged in that thread: the loop may stand still within a handler, and hold its lock.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._hearts: set[Heart] = set()
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """True while there is something to look after."""
        return self._thread is not None

    def add(self, heart: Heart) -> None:
        """Look after a connection."""
        with self._changed:
            self._hearts.add(heart)
            if self._thread is None:
                # A daemon: a loop that hangs for good must not keep the process from ending.
                self._thread = threading.Thread(
                    target=self._run, name="atasks_ng heartbeats", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def discard(self, heart: Heart) -> None:
        """Look after a connection no more; one that is not known is no error."""
        with self._changed:
            self._hearts.discard(heart)
            self._changed.notify()

    def _run(self) -> None:
        while hearts := self._wait():
            now = time.monotonic()
            for heart in hearts:
                if not heart.look(now):
                    self.discard(heart)
                    heart.give_up()

    def _wait(self) -> list[Heart]:
        """Return what to look after, when it is time to; nothing when the thread has to end."""
        with self._changed:
            begun = time.monotonic()
            while self._hearts:
                every = min(heart.look_every for heart in self._hearts)
                left = begun + every - time.monotonic()
                if left <= 0:
                    return list(self._hearts)
                self._changed.wait(left)
            self._thread = None
            return []

    def forget(self) -> None:
        """Begin anew in a process that was forked: the thread, and its locks, are the parent's."""
        self._begin()


#: One for the process, as its thread is.
pulse = Pulse()

# Those that are open in this process.
_opened: weakref.WeakSet[SharedTransport] = weakref.WeakSet()


def _begin_as_child() -> None:
    pulse.forget()
    for transport in _opened:
        transport.forget()
    _opened.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_as_child)
