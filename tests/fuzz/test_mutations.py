"""Of 100,000 messages that nearly are ours, each is a value or a DecodeError, and runs nothing."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from . import supported
from .mutations import codec, messages, mutants

# No message of the size of these may cost more; a busy machine takes the processor away, which is
# why it is not the time on the wall.
_SECONDS_PER_MESSAGE = 0.1
_COUNT = 100_000

_FORBIDDEN = ("exec", "compile", "pickle.", "os.", "subprocess.", "socket.", "ctypes.", "shutil.")


class Watch:
    """
    An audit hook that notes what decoding must not do; it can be switched off, not removed.

    Attributes:
        found: What was done.
        is_on: Whether it looks.
    """

    def __init__(self) -> None:
        self.found: list[str] = []
        self.is_on = False

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.is_on:
            return
        # Listing folders belongs to the search for time zones; opening their files, too.
        if event.startswith(_FORBIDDEN) and event not in ("os.listdir", "os.scandir"):
            self.found.append(f"{event} {args!r}")
        elif event == "import" and not str(args[0]).startswith(("tzdata", "importlib")):
            self.found.append(f"{event} {args[0]}")


@pytest.fixture(scope="module")
def hook() -> Watch:
    watch = Watch()
    sys.addaudithook(watch)
    return watch


@pytest.fixture
def watch(hook: Watch) -> Iterator[Watch]:
    for content in messages():
        codec.decode(content)  # whatever is imported once, is imported now
    hook.found.clear()
    yield hook
    hook.is_on = False


@pytest.fixture
def empty_heap() -> Iterator[None]:
    # A full collection of what a run of all tests leaves takes 0.1 s, on account of some message.
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def test_messages_that_are_not_changed_are_values():
    for content in messages():
        supported.check(codec.decode(content))


@pytest.mark.usefixtures("empty_heap")
@pytest.mark.parametrize("part", range(4))
def test_changed_messages_end(watch, part):
    values = 0
    slowest = 0.0
    watch.is_on = True

    for content in mutants(seed=part, count=_COUNT // 4):
        started = time.thread_time()
        value = supported.decode(content)
        slowest = max(slowest, time.thread_time() - started)
        values += value is not None

    watch.is_on = False
    assert watch.found == []
    assert slowest < _SECONDS_PER_MESSAGE
    # Had all been refused, or none, nothing would have been looked at.
    assert 0.01 * _COUNT / 4 < values < 0.9 * _COUNT / 4


def test_watch_notices_what_it_looks_for(watch):
    watch.is_on = True

    eval("1")

    watch.is_on = False
    assert [each.split()[0] for each in watch.found] == ["compile", "exec"]
