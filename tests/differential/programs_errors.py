"""Programs whose tasks fail."""

from __future__ import annotations

import asyncio
import binascii
import builtins
import concurrent.futures
import configparser
import contextlib
import dataclasses
import decimal
import enum
import json
import queue
import re
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import traceback
import typing
import urllib.error
import warnings
import zlib

from .table import program


async def caught(awaitable):
    """Return what awaiting raises."""
    try:
        return "returned", await awaitable
    except BaseException as exc:
        return exc


# -- families of the standard library ----------------------------------------------------------

# Constructors that want particular arguments.
_BUILT_IN_ARGUMENTS = {
    "UnicodeDecodeError": ("utf-8", b"\xff", 0, 1, "no"),
    "UnicodeEncodeError": ("ascii", "ä", 0, 1, "no"),
    "UnicodeTranslateError": ("ä", 0, 1, "no"),
    "BaseExceptionGroup": ("group", [ValueError(1)]),
    "ExceptionGroup": ("group", [ValueError(1), KeyError(2)]),
}


@program
def every_built_in_exception(task, log):
    @task
    async def fails(name):
        raise getattr(builtins, name)(*_BUILT_IN_ARGUMENTS.get(name, ("text", 2)))

    async def main():
        names = [
            name
            for name, cls in sorted(vars(builtins).items())
            if isinstance(cls, type)
            and issubclass(cls, BaseException)
            # Those that the interpreter itself acts upon have programs of their own.
            and name not in ("StopIteration", "StopAsyncIteration", "PythonFinalizationError")
        ]
        return [await caught(fails(name)) for name in names]

    return main


@program
def every_built_in_exception_without_arguments(task, log):
    @task
    async def fails(name):
        raise getattr(builtins, name)

    async def main():
        names = [
            name
            for name, cls in sorted(vars(builtins).items())
            if isinstance(cls, type)
            and issubclass(cls, BaseException)
            and name not in ("StopIteration", "StopAsyncIteration", "PythonFinalizationError")
            and name not in _BUILT_IN_ARGUMENTS
        ]
        return [await caught(fails(name)) for name in names]

    return main


@program
def operating_system_errors(task, log):
    @task
    async def fails(*args):
        raise OSError(*args)

    async def main():
        return [
            await caught(fails(*args))
            for args in [
                (2, "No such file", "a.txt"),
                (2, "No such file", "a.txt", None, "b.txt"),
                (13, "Permission denied"),
                (104, "reset"),
                (110, "timed out"),
                ("text",),
                (),
                (1, 2, 3, 4, 5, 6),
            ]
        ]

    return main


@program
def errors_of_the_operating_system_itself(task, log):
    @task
    async def reads(path):
        with open(path):  # noqa: ASYNC230, PTH123
            pass

    async def main():
        return [await caught(reads("/does/not/exist")), await caught(reads("/"))]

    return main


@program
def errors_with_fields(task, log):
    @task
    async def fails(number):
        match number:
            case 0:
                raise ImportError("no", name="mod", path="/a")
            case 1:
                raise NameError("no", name="x")
            case 2:
                raise AttributeError("no", name="x")
            case 3:
                raise SyntaxError("bad", ("file.py", 3, 5, "x = = 1\n", 3, 6))
            case 4:
                compile("def f(:\n", "made.py", "exec")
            case 5:
                b"\xff".decode()
            case 6:
                "ä".encode("ascii")
            case 7:
                undefined_name  # noqa: B018, F821
            case 8:
                {}["missing"]  # noqa: B018
            case 9:
                import nothing_of_that_name  # noqa: F401
            case 10:
                int("x")
            case 11:
                [][3]  # noqa: B018

    async def main():
        return [await caught(fails(number)) for number in range(12)]

    return main


@program
def attribute_error_raised_by_python(task, log):
    @task
    async def fails():
        return "text".no_such_attribute

    async def main():
        exc = await caught(fails())
        return exc.name, str(exc)

    return main


@program
def errors_of_the_standard_library(task, log):
    @task
    async def fails(number):
        match number:
            case 0:
                json.loads("{")
            case 1:
                raise subprocess.CalledProcessError(3, ["cmd"], b"out", b"err")
            case 2:
                raise subprocess.TimeoutExpired("cmd", 1.5, b"out")
            case 3:
                raise asyncio.IncompleteReadError(b"ab", 5)
            case 4:
                raise asyncio.LimitOverrunError("too long", 7)
            case 5:
                re.compile("(")
            case 6:
                decimal.Decimal(1) / 0
            case 7:
                struct.unpack("i", b"")
            case 8:
                zlib.decompress(b"x")
            case 9:
                binascii.unhexlify("x")
            case 10:
                with contextlib.closing(sqlite3.connect(":memory:")) as database:
                    database.execute("nonsense")
            case 11:
                raise socket.gaierror(-2, "unknown")
            case 12:
                raise shutil.Error(["a", "b"])
            case 13:
                raise queue.Empty
            case 14:
                raise asyncio.QueueFull
            case 15:
                raise asyncio.InvalidStateError("not done")
            case 16:
                raise concurrent.futures.BrokenExecutor("broken")
            case 17:
                raise configparser.NoOptionError("option", "section")
            case 18:
                raise urllib.error.URLError("reason", "file")
            case 19:
                raise asyncio.BrokenBarrierError("b")

    async def main():
        return [await caught(fails(number)) for number in range(20)]

    return main


# -- classes of the program --------------------------------------------------------------------


class PlainError(Exception):
    """Nothing special."""


class CodeError(Exception):
    """An error whose constructor takes other arguments than it passes on."""

    def __init__(self, code, *, hint=None):
        super().__init__(f"code {code}")
        self.code = code
        self.hint = hint


class SilentError(Exception):
    """An error whose constructor passes nothing on."""

    def __init__(self, a, b):
        self.a = a
        self.b = b

    def __str__(self):
        return f"{self.a} and {self.b}"


class SlottedError(Exception):
    """An error with slots."""

    __slots__ = ("deep", "size")

    def __init__(self, size):
        super().__init__(size)
        self.size = size


class LookupAndValueError(KeyError, ValueError):
    """Two families at once."""


class FileCodeError(OSError):
    """A built-in error with C fields, extended."""

    def __init__(self, code, path):
        super().__init__(code, "extended", path)
        self.extra = path * 2


class ReducedError(Exception):
    """An error with its own idea of pickling."""

    def __init__(self, a, b):
        super().__init__(a)
        self.b = b

    def __reduce__(self):
        return ReducedError, (self.args[0], self.b)


class Colour(enum.Enum):
    """What an error may carry."""

    RED = 1


class NamingGroup(ExceptionGroup):
    """A group of one's own."""

    def derive(self, excs):
        return NamingGroup(self.message, excs)


class CodedGroup(ExceptionGroup):
    """A group with a constructor of its own."""

    def __new__(cls, errors, code):
        made = super().__new__(cls, f"code {code}", errors)
        made.code = code
        return made

    def derive(self, excs):
        return CodedGroup(excs, self.code)


@program
def own_classes(task, log):
    @task
    async def fails(number):
        match number:
            case 0:
                raise PlainError("text", 1, None)
            case 1:
                raise CodeError(7, hint="try again")
            case 2:
                raise SilentError("a", ["b"])
            case 3:
                raise SlottedError(3)
            case 4:
                raise LookupAndValueError("both")
            case 5:
                raise FileCodeError(2, "p")
            case 6:
                raise ReducedError(1, 2)
            case 7:
                raise PlainError(Colour.RED, {"k": (1, 2)}, {3})

    async def main():
        return [await caught(fails(number)) for number in range(8)]

    return main


@program
def local_class(task, log):
    class LocalError(Exception):
        pass

    @task
    async def fails():
        raise LocalError("local")

    async def main():
        try:
            await fails()
        except LocalError as exc:
            return exc, type(exc) is LocalError

    return main


@program
def class_within_a_class(task, log):
    class Service:
        class Error(Exception):
            pass

        @staticmethod
        @task
        async def call():
            raise Service.Error("inner")

    async def main():
        try:
            await Service.call()
        except Service.Error as exc:
            return exc

    return main


@program
def constructor_is_not_called_again(task, log):
    class CountedError(Exception):
        def __init__(self, text):
            log("made", text)
            super().__init__(text)

    @task
    async def fails():
        raise CountedError("once")

    async def main():
        return await caught(fails())

    return main


@program
def attributes_set_afterwards(task, log):
    @task
    async def fails():
        exc = ValueError("v")
        exc.code = 42
        exc.details = {"a": [1, 2]}
        raise exc

    async def main():
        return await caught(fails())

    return main


@program
def attribute_that_refers_to_the_exception(task, log):
    @task
    async def fails():
        exc = ValueError("v")
        exc.inner = KeyError("k")
        raise exc

    async def main():
        exc = await caught(fails())
        return exc.args, type(exc)

    return main


@program
def caught_by_its_base(task, log):
    @task
    async def fails():
        raise FileNotFoundError(2, "no", "f")

    async def main():
        try:
            await fails()
        except PermissionError:
            return "wrong"
        except OSError as exc:
            return exc.filename, exc.errno, isinstance(exc, FileNotFoundError)

    return main


@program
def arguments_changed_after_the_raise(task, log):
    @task
    async def fails():
        try:
            raise ValueError("a")
        except ValueError as exc:
            exc.args = ("b", 2)
            raise

    async def main():
        return await caught(fails())

    return main


# -- notes, causes, contexts -------------------------------------------------------------------


@program
def notes(task, log):
    @task
    async def fails():
        exc = ValueError("v")
        exc.add_note("first")
        exc.add_note("second\nof two lines")
        raise exc

    async def main():
        exc = await caught(fails())
        exc.add_note("of the caller")
        return exc

    return main


@program
def notes_on_the_way(task, log):
    @task
    async def inner():
        raise ValueError("v")

    @task
    async def outer():
        try:
            await inner()
        except ValueError as exc:
            exc.add_note("seen by outer")
            raise

    async def main():
        return await caught(outer())

    return main


@program
def raised_from(task, log):
    @task
    async def fails():
        try:
            {}["k"]  # noqa: B018
        except KeyError as exc:
            raise ValueError("v") from exc

    async def main():
        return await caught(fails())

    return main


@program
def raised_from_none(task, log):
    @task
    async def fails():
        try:
            {}["k"]  # noqa: B018
        except KeyError:
            raise ValueError("v") from None

    async def main():
        return await caught(fails())

    return main


@program
def raised_while_handling(task, log):
    @task
    async def fails():
        try:
            {}["k"]  # noqa: B018
        except KeyError:
            1 / 0  # noqa: B018

    async def main():
        return await caught(fails())

    return main


@program
def raised_in_finally(task, log):
    @task
    async def fails():
        try:
            raise KeyError("first")
        finally:
            raise ValueError("second")

    async def main():
        return await caught(fails())

    return main


@program
def long_chain(task, log):
    @task
    async def fails(n):
        try:
            if n:
                await fails(n - 1)
            raise ValueError("bottom")
        except Exception as exc:
            raise RuntimeError(n) from exc

    async def main():
        return await caught(fails(4))

    return main


@program
def cause_that_was_never_raised(task, log):
    @task
    async def fails():
        raise ValueError("v") from KeyError("never raised")

    async def main():
        return await caught(fails())

    return main


@program
def caller_raises_from_what_it_caught(task, log):
    @task
    async def fails():
        raise KeyError("k")

    async def local():
        try:
            await fails()
        except KeyError as exc:
            raise ValueError("v") from exc

    async def main():
        return await caught(local())

    return main


@program
def context_of_the_caller(task, log):
    @task
    async def fails():
        raise ValueError("of the callee")

    async def local():
        try:
            raise KeyError("of the caller")
        except KeyError:
            await fails()

    async def main():
        return await caught(local())

    return main


@program
def context_of_the_caller_and_of_the_callee(task, log):
    @task
    async def fails():
        try:
            raise OSError("handled there")
        except OSError:
            raise ValueError("of the callee")  # noqa: B904

    async def local():
        try:
            raise KeyError("of the caller")
        except KeyError:
            await fails()

    async def main():
        return await caught(local())

    return main


@program
def reraised_by_the_caller(task, log):
    @task
    async def fails():
        raise ValueError("v")

    async def first():
        await fails()

    async def second():
        try:
            await first()
        except ValueError:
            raise

    async def main():
        return await caught(second())

    return main


@program
def reraised_by_name(task, log):
    @task
    async def fails():
        raise ValueError("v")

    @task
    async def second():
        try:
            await fails()
        except ValueError as exc:
            raise exc  # noqa: TRY201

    async def main():
        return await caught(second())

    return main


@program
def raised_again_later(task, log):
    @task
    async def fails():
        raise ValueError("v")

    async def main():
        running = asyncio.create_task(fails())
        first = await caught(running)
        second = await caught(running)
        return first is second, second, running.exception() is first

    return main


@program
def cyclic_context(task, log):
    @task
    async def fails():
        a, b = ValueError("a"), KeyError("b")
        a.__context__, b.__context__ = b, a
        raise a

    async def main():
        return await caught(fails())

    return main


# -- tracebacks --------------------------------------------------------------------------------


def local_helper(x):
    """Fail, somewhere below a task."""
    return 1 / x


@program
def traceback_through_local_functions(task, log):
    async def below(x):
        return local_helper(x)

    @task
    async def fails(x):
        return await below(x)

    async def main():
        exc = await caught(fails(0))
        own = [f.name for f in traceback.extract_tb(exc.__traceback__) if f.filename == __file__]
        return exc, own

    return main


@program
def traceback_through_three_calls(task, log):
    @task
    async def third():
        raise ValueError("deep")

    @task
    async def second():
        await third()

    @task
    async def first():
        await second()

    async def main():
        return await caught(first())

    return main


@program
def traceback_of_a_recursion(task, log):
    @task
    async def down(n):
        if n == 0:
            raise ValueError("bottom")
        await down(n - 1)

    async def main():
        return await caught(down(6))

    return main


@program
def traceback_printed_by_the_caller(task, log):
    @task
    async def fails():
        raise ValueError("v")

    async def main():
        try:
            await fails()
        except ValueError:
            text = traceback.format_exc()
            return "in fails" in text, text.splitlines()[-1], sys.exc_info()[1]

    return main


@program
def local_variables_of_frames_are_free(task, log):
    @task
    async def fails():
        secret = "there"
        raise ValueError(len(secret))

    async def main():
        exc = await caught(fails())
        tb = exc.__traceback__
        lines = []
        while tb is not None:
            if tb.tb_frame.f_code.co_filename == __file__:
                lines.append(tb.tb_frame.f_code.co_name)
            tb = tb.tb_next
        return lines

    return main


@program(raises=ValueError)
def raised_out_of_main(task, log):
    @task
    async def fails():
        raise ValueError("out")

    async def main():
        await fails()

    return main


@program
def python_recursion_error(task, log):
    @task
    async def fails():
        def down():
            return down()

        return down()

    async def main():
        exc = await caught(fails())
        return type(exc), exc.args

    return main


# -- groups ------------------------------------------------------------------------------------


@program
def group_raised(task, log):
    @task
    async def fails():
        raise ExceptionGroup("outer", [ValueError(1), ExceptionGroup("inner", [KeyError("k")])])

    async def main():
        return await caught(fails())

    return main


@program
def group_and_except_star(task, log):
    @task
    async def fails():
        raise ExceptionGroup("g", [ValueError(1), TypeError(2), ValueError(3), OSError(4)])

    async def main():
        found = []
        try:
            try:
                await fails()
            except* ValueError as group:
                found.append(group)
            except* OSError as group:
                found.append(group)
        except* TypeError as rest:
            found.append(rest)
        return [[type(each).__name__, *(e.args for e in each.exceptions)] for each in found]

    return main


@program
def group_of_raised_members(task, log):
    @task
    async def fails():
        members = []
        for x in range(3):
            try:
                try:
                    local_helper(0)
                except ZeroDivisionError as exc:
                    raise ValueError(x) from exc
            except ValueError as exc:
                exc.add_note(f"number {x}")
                members.append(exc)
        raise ExceptionGroup("three", members)

    async def main():
        return await caught(fails())

    return main


@program
def group_of_base_exceptions(task, log):
    @task
    async def fails():
        raise BaseExceptionGroup("base", [KeyboardInterrupt("k"), ValueError(1)])

    async def main():
        return await caught(fails())

    return main


@program
def group_of_an_own_class(task, log):
    @task
    async def fails():
        raise NamingGroup("named", [ValueError(1), KeyError(2)])

    async def main():
        exc = await caught(fails())
        matched, rest = exc.split(ValueError)
        return exc, type(matched), type(rest)

    return main


@program
def group_with_a_constructor_of_its_own(task, log):
    @task
    async def fails():
        raise CodedGroup([ValueError(1), KeyError(2)], 7)

    async def main():
        exc = await caught(fails())
        return exc, exc.code, exc.subgroup(KeyError).code

    return main


@program
def group_with_one_member_twice(task, log):
    @task
    async def fails():
        exc = ValueError("same")
        raise ExceptionGroup("g", [exc, exc])

    async def main():
        exc = await caught(fails())
        return exc.exceptions[0] is exc.exceptions[1], exc

    return main


@program
def group_as_a_cause(task, log):
    @task
    async def fails():
        try:
            raise ExceptionGroup("g", [ValueError(1)])
        except ExceptionGroup as group:
            raise RuntimeError("r") from group

    async def main():
        return await caught(fails())

    return main


@program
def group_reraised_in_part(task, log):
    @task
    async def fails():
        try:
            raise ExceptionGroup("g", [ValueError(1), KeyError(2)])
        except* ValueError:
            log("handled there")

    async def main():
        return await caught(fails())

    return main


@program
def group_deeply_nested(task, log):
    @task
    async def fails(n):
        exc = ValueError("leaf")
        for i in range(n):
            exc = ExceptionGroup(f"level {i}", [exc])
        raise exc

    async def main():
        return await caught(fails(8))

    return main


# -- what the interpreter acts upon ------------------------------------------------------------


@program
def stop_iteration(task, log):
    @task
    async def fails():
        raise StopIteration("value")

    async def main():
        return await caught(fails())

    return main


@program
def stop_iteration_of_next(task, log):
    @task
    async def fails():
        return next(iter([]))

    async def main():
        return await caught(fails())

    return main


@program
def stop_async_iteration(task, log):
    @task
    async def fails():
        raise StopAsyncIteration("value")

    async def main():
        return await caught(fails())

    return main


@program
def stop_iteration_in_a_thread(task, log):
    @task(executor="loop")
    def fails() -> asyncio.Future:
        future = asyncio.get_running_loop().create_future()
        future.set_exception(ValueError("set on a future"))
        return future

    async def main():
        return await caught(fails())

    return main


@program
def system_exit(task, log):
    @task
    async def fails(*args):
        sys.exit(*args)

    async def main():
        found = [await caught(fails(*args)) for args in [(), (3,), ("text",), (None,)]]
        return found, await caught(fails(0))

    return main


@program(raises=SystemExit)
def system_exit_of_main(task, log):
    @task
    async def fails():
        raise SystemExit(3)

    async def main():
        try:
            await fails()
        finally:
            log("finally of main")

    return main


@program
def keyboard_interrupt(task, log):
    @task
    async def fails():
        raise KeyboardInterrupt

    async def main():
        return await caught(fails())

    return main


@program(raises=KeyboardInterrupt)
def keyboard_interrupt_of_a_child(task, log):
    @task
    async def fails():
        raise KeyboardInterrupt("child")

    async def main():
        try:
            await asyncio.create_task(fails())
        finally:
            log("finally of main")

    return main


@program
def generator_exit(task, log):
    @task
    async def fails():
        raise GeneratorExit("value")

    async def main():
        return await caught(fails())

    return main


@program
def own_base_exception(task, log):
    @task
    async def fails():
        raise BaseException("base")  # noqa: TRY002

    async def main():
        return await caught(fails())

    return main


@program
def assertion(task, log):
    @task
    async def checks(x):
        assert x > 3, f"{x} is too small"
        return x

    async def main():
        return [await checks(4), await caught(checks(2))]

    return main


@program
def retrieval_of_an_exception_is_forgotten(task, log):
    @task
    async def fails():
        raise ValueError("nobody looks")

    async def main():
        running = asyncio.create_task(fails(), name="forgotten")
        await asyncio.wait([running])
        return "went on"

    return main


@program
def error_in_a_done_callback(task, log):
    @task
    async def f():
        return 1

    async def main():
        running = asyncio.create_task(f())

        def complain(done):
            raise ValueError("of the callback")

        running.add_done_callback(complain)
        return await running

    return main


@program
def error_handled_by_the_callee(task, log):
    @task
    async def fails(x):
        log("fails", x)
        raise ValueError(x)

    @task
    async def patient():
        for x in range(3):
            try:
                await fails(x)
            except ValueError as exc:
                log("caught", exc)
            else:
                log("never")
            finally:
                log("finally", x)
        return "done"

    async def main():
        return await patient()

    return main


@program
def suppression_of_context_by_hand(task, log):
    @task
    async def fails():
        exc = ValueError("v")
        exc.__context__ = KeyError("k")
        exc.__suppress_context__ = True
        raise exc

    async def main():
        return await caught(fails())

    return main


@program
def exception_with_a_live_object(task, log):
    @task
    async def fails():
        exc = ValueError("v", "kept")
        exc.lock = asyncio.Lock()
        exc.code = 3
        raise exc

    async def main():
        exc = await caught(fails())
        return exc.args, exc.code, hasattr(exc, "lock")

    return main


@program
def exception_with_a_live_argument(task, log):
    @task
    async def fails():
        raise ValueError("v", asyncio.Lock)

    async def main():
        exc = await caught(fails())
        return exc.args

    return main


@program
def exception_as_a_value(task, log):
    @task
    async def f(exc):
        return ValueError("returned"), exc

    async def main():
        return await f(KeyError("given"))

    return main


@program
def frozen_dataclass_as_exception(task, log):
    @dataclasses.dataclass(frozen=True)
    class FrozenError(Exception):
        code: int
        text: str = "none"

    @task
    async def fails():
        try:
            raise KeyError("first")
        except KeyError as exc:
            raise FrozenError(3) from exc

    async def main():
        exc = await caught(fails())
        return type(exc), exc.code, exc.text, exc.args, exc.__cause__.args

    return main


@program
def exception_that_refuses_attributes(task, log):
    class StrictError(Exception):
        def __init__(self, code):
            super().__init__(code)
            object.__setattr__(self, "code", code)

        def __setattr__(self, name, value):
            log("set", name)
            raise AttributeError(name)

    @task
    async def fails():
        raise StrictError(3)

    async def main():
        exc = await caught(fails())
        return type(exc).__name__, exc.code, exc.args

    return main


@program
def exception_whose_text_fails(task, log):
    class TextlessError(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    @task
    async def fails():
        raise TextlessError("a", 1)

    async def main():
        exc = await caught(fails())
        return type(exc).__name__, exc.args

    return main


@program
def exception_class_that_needs_arguments(task, log):
    @task
    async def fails():
        raise CodeError

    async def main():
        return await caught(fails())

    return main


@program
def exception_with_a_property(task, log):
    class StatusError(Exception):
        @property
        def status(self):
            return self.args[0] // 100

        @property
        def label(self):
            return self._label

        @label.setter
        def label(self, value):
            log("label set")
            self._label = value.upper()

    @task
    async def fails():
        exc = StatusError(404)
        exc.label = "lost"
        raise exc

    async def main():
        exc = await caught(fails())
        return exc, exc.status, exc.label

    return main


@program
def exception_of_a_generic_class(task, log):
    kind = typing.TypeVar("kind")

    class Failed(Exception, typing.Generic[kind]):  # noqa: N818
        pass

    @task
    async def fails():
        raise Failed[int]("x")

    async def main():
        return await caught(fails())

    return main


@program
def exception_and_a_return_in_finally(task, log):
    @task
    async def f():
        try:
            raise ValueError("lost")
        finally:
            return "returned"  # noqa: B012

    async def main():
        return await f()

    return main


@program
def exception_raised_by_an_awaited_future(task, log):
    @task
    async def f():
        future = asyncio.get_running_loop().create_future()
        future.set_exception(ValueError("of the future"))
        await future

    async def main():
        return await caught(f())

    return main


@program
def exception_of_a_child_of_the_callee(task, log):
    @task
    async def f():
        async def child():
            raise ValueError("of the child")

        await asyncio.create_task(child())

    async def main():
        return await caught(f())

    return main


@program
def one_exception_object_raised_by_two_calls(task, log):
    @task
    async def fails(x):
        raise ValueError(x)

    async def main():
        first = await caught(fails(1))
        try:
            raise first
        except ValueError as exc:
            return exc is first, exc

    return main


@program
def caught_and_raised_from_a_second_call(task, log):
    @task
    async def fails(x):
        raise ValueError(x)

    async def local():
        try:
            await fails(1)
        except ValueError:
            await fails(2)

    async def main():
        return await caught(local())

    return main


@program
def caught_and_raised_in_a_callee_from_a_second_call(task, log):
    @task
    async def fails(x):
        raise ValueError(x)

    @task
    async def twice():
        try:
            await fails(1)
        except ValueError as exc:
            try:
                await fails(2)
            except ValueError as other:
                raise other from exc

    async def main():
        return await caught(twice())

    return main


@program
def statement_of_several_lines(task, log):
    @task
    async def fails(*args):
        raise ValueError(
            "first",
            args,
        )

    async def main():
        return await caught(
            fails(
                1,
                2,
            )
        )

    return main


@program
def error_in_a_comprehension(task, log):
    @task
    async def fails(xs):
        return [1 / x for x in xs]

    async def main():
        return await caught(fails([1, 0]))

    return main


@program
def error_in_a_lambda_and_a_sorting(task, log):
    @task
    async def fails(xs):
        return sorted(xs, key=lambda x: x["k"])

    async def main():
        return await caught(fails([{"k": 1}, {}]))

    return main


@program
def error_from_compiled_text(task, log):
    @task
    async def fails():
        exec(compile("def f():\n    return 1 / 0\nf()", "<made up>", "exec"), {})

    async def main():
        exc = await caught(fails())
        names = [frame.name for frame in traceback.extract_tb(exc.__traceback__)]
        return type(exc), names[-2:]

    return main


@program
def long_text(task, log):
    @task
    async def fails():
        raise ValueError("x" * 200_000)

    async def main():
        exc = await caught(fails())
        return len(exc.args[0]), len(str(exc))

    return main


@program
def many_notes(task, log):
    @task
    async def fails():
        exc = ValueError("v")
        for i in range(100):
            exc.add_note(f"note {i}")
        raise exc

    async def main():
        return (await caught(fails())).__notes__

    return main


@program
def warning_given_by_a_task(task, log):
    @task
    async def f():
        warnings.warn("careful", DeprecationWarning, stacklevel=1)
        return 1

    async def main():
        return await f()

    return main


@program
def warning_as_an_error(task, log):
    @task
    async def f():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.warn("strict", UserWarning, stacklevel=1)

    async def main():
        return await caught(f())

    return main
