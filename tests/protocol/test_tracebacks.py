"""How much is told of where an exception was raised: all, names and lines, or nothing."""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from atasks_ng.protocol import failures, tracebacks
from tests.protocol.raising import raised

HERE = __file__
SECRETIVE = pytest.mark.parametrize("how", ["names", "off"])


def divide(a: float, b: float) -> float:
    return a / b


def convert() -> None:
    try:
        divide(1, 0)
    except ZeroDivisionError as exc:
        error = ValueError("not so")
        error.add_note("a note")
        raise error from exc


def gather() -> None:
    found = []
    for make in (convert, lambda: divide(1, 0)):
        try:
            make()
        except Exception as exc:
            found.append(exc)
    raise ExceptionGroup("both", found)


def travel(exc: BaseException, how: str, worker: str = "w", task: str = "m:f") -> BaseException:
    """Return what arrives at the caller of a worker that tells so much."""
    return failures.rebuild(failures.describe(exc, worker, task, tracebacks=how))


def places(exc: BaseException | None) -> list[tuple[str, str]]:
    """Return file and function of each frame."""
    assert exc is not None
    return [(frame.filename, frame.name) for frame in traceback.extract_tb(exc.__traceback__)]


# -- what is told --------------------------------------------------------------------------------


def test_full_tells_files_and_sources() -> None:
    arrived = travel(raised(lambda: divide(1, 0)), "full")

    last = traceback.extract_tb(arrived.__traceback__)[-1]
    assert (last.filename, last.name, last.line) == (HERE, "divide", "return a / b")


def test_names_tells_functions_and_lines_in_the_name_of_the_worker() -> None:
    exc = raised(lambda: divide(1, 0))

    arrived = travel(exc, "names")

    frames = traceback.extract_tb(arrived.__traceback__)
    local = traceback.extract_tb(exc.__traceback__)
    assert [frame.filename for frame in frames] == ["<worker w>"] * 4
    assert [frame.name for frame in frames] == ["m:f", *[frame.name for frame in local]]
    assert [frame.lineno for frame in frames][1:] == [frame.lineno for frame in local]
    assert [frame.line for frame in frames] == [""] * 4


def test_off_tells_who_does_not_tell() -> None:
    arrived = travel(raised(lambda: divide(1, 0)), "off")

    assert places(arrived) == [("<worker w, which does not tell where>", "m:f")]
    printed = "".join(traceback.format_exception(arrived))
    assert printed == (
        "Traceback (most recent call last):\n"
        '  File "<worker w, which does not tell where>", line 1, in m:f\n'
        "ZeroDivisionError: division by zero\n"
    )


def test_word_that_does_not_exist_tells_nothing() -> None:
    arrived = travel(raised(lambda: divide(1, 0)), "ful")

    assert places(arrived) == [("<worker w, which does not tell where>", "m:f")]


@SECRETIVE
@pytest.mark.parametrize("make", [convert, gather])
def test_no_file_and_no_source_is_in_any_part_of_a_record(
    make: Callable[[], None], how: str
) -> None:
    exc = raised(make)
    exc.__cause__ = raised(convert)

    told = json.dumps(failures.describe(exc, "w", "m:f", tracebacks=how))
    told_in_full = json.dumps(failures.describe(exc, "w", "m:f"))

    for secret in (json.dumps(HERE)[1:-1], "return a / b", "raise error from exc"):
        assert secret in told_in_full
        assert secret not in told


@SECRETIVE
def test_all_but_the_frames_arrives(how: str) -> None:
    exc = raised(gather)

    arrived = travel(exc, how)

    assert repr(arrived) == repr(exc)
    assert isinstance(arrived, ExceptionGroup)
    first = arrived.exceptions[0]
    assert first.__notes__ == ["a note"]
    assert repr(first.__cause__) == "ZeroDivisionError('division by zero')"
    assert first.__suppress_context__
    names = [] if how == "off" else [("<worker w>", "convert"), ("<worker w>", "divide")]
    assert places(first.__cause__) == names


def test_deep_traceback_of_names_is_cut_in_the_middle() -> None:
    def descend(depth: int) -> None:
        if depth == 0:
            raise ValueError
        descend(depth - 1)

    arrived = travel(raised(lambda: descend(500)), "names")

    assert len(places(arrived)) == tracebacks.MAX_FRAMES + 1


# -- what one worker tells of another ------------------------------------------------------------


def relay(exc: BaseException) -> None:
    raise exc


def test_names_of_another_worker_stay_its_own() -> None:
    inner = travel(raised(lambda: divide(1, 0)), "full", "inner", "m:g")

    arrived = travel(raised(lambda: relay(inner)), "names", "outer")

    assert ("<worker outer>", "relay") in places(arrived)
    assert ("<worker inner>", "m:g") in places(arrived)
    assert places(arrived)[-1] == ("<worker inner>", "divide")
    assert HERE not in dict(places(arrived))


def test_cause_that_another_worker_told_is_not_the_relaying_one_s() -> None:
    inner = travel(raised(convert), "full", "inner", "m:g")

    arrived = travel(raised(lambda: relay(inner)), "names", "outer")

    assert set(dict(places(arrived.__cause__))) == {"<remote>"}


def test_file_that_is_called_like_a_worker_is_none() -> None:
    code = compile("def f(): raise ValueError", "<worker /srv/shop.py>", "exec")
    space: dict[str, Any] = {}
    exec(code, space)

    arrived = travel(raised(space["f"]), "names")

    assert places(arrived)[-1] == ("<worker w>", "f")


def test_worker_that_tells_nothing_tells_nothing_of_another() -> None:
    inner = travel(raised(lambda: divide(1, 0)), "full", "inner", "m:g")

    arrived = travel(raised(lambda: relay(inner)), "off", "outer")

    assert places(arrived) == [("<worker outer, which does not tell where>", "m:f")]


def test_silence_of_another_worker_is_told_on() -> None:
    inner = travel(raised(lambda: divide(1, 0)), "off", "inner", "m:g")

    for how in ("full", "names"):
        arrived = travel(raised(lambda: relay(inner)), how, "outer")

        assert places(arrived)[-1] == ("<worker inner, which does not tell where>", "m:g")


# -- tracebacks that are text --------------------------------------------------------------------


def in_process_pool() -> None:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        pool.submit(divide, 1, 0).result()


def in_multiprocessing_pool() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(divide, (1, 0))


@pytest.mark.parametrize("make", [in_process_pool, in_multiprocessing_pool])
def test_traceback_that_is_the_text_of_a_cause_is_withheld(make: Callable[[], None]) -> None:
    exc = raised(make)
    assert "return a / b" in str(exc.__cause__)

    for how in ("names", "off"):
        cause = travel(exc, how).__cause__
        assert cause is not None
        assert type(cause) is type(exc.__cause__)
        assert str(cause) == "a traceback of another process, which this worker does not tell"
        assert "return a / b" not in repr(vars(cause)) + repr(cause.args)
    assert str(travel(exc, "full").__cause__) == str(exc.__cause__)


def test_summary_of_a_text_of_a_traceback_withholds_it() -> None:
    class RemoteTraceback(Exception):
        """As pools have it."""

    exc = RemoteTraceback("return a / b")

    assert failures.summary_of(exc)[1] == "return a / b"
    assert "a / b" not in failures.summary_of(exc, "off")[1]
    assert failures.summary_of(ValueError("text"), "off") == ["builtins.ValueError", "text"]
