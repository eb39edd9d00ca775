"""Programs about functions: how they are called, what they look like, where they stand."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import contextvars
import dataclasses
import enum
import functools
import gc
import inspect
import time
import types
import typing
from collections.abc import Awaitable, Coroutine
from typing import Any

from atasks_ng.codecs import register

from .table import program

# -- arguments ---------------------------------------------------------------------------------


@program
def value_of_one_argument(task, log):
    @task
    async def square(x):
        return x * x

    async def main():
        return await square(4)

    return main


@program
def nothing_returned(task, log):
    @task
    async def silent():
        log("ran")

    async def main():
        return await silent()

    return main


@program
def defaults(task, log):
    @task
    async def f(a, b=2, c="three"):
        return a, b, c

    async def main():
        return [await f(1), await f(1, 5), await f(1, c=None), await f(c=0, a=9)]

    return main


@program
def keyword_only(task, log):
    @task
    async def f(*, a, b=2):
        return a, b

    async def main():
        return [await f(a=1), await f(b=1, a=2)]

    return main


@program
def positional_only(task, log):
    @task
    async def f(a, b=2, /, c=3):
        return a, b, c

    async def main():
        return [await f(1), await f(1, 5), await f(1, 5, c=6)]

    return main


@program
def positional_only_name_among_keywords(task, log):
    @task
    async def f(a, /, **more):
        return a, more

    async def main():
        return await f(1, a=2, b=3)

    return main


@program
def variable_arguments(task, log):
    @task
    async def f(first, *rest, sep="-", **more):
        return first, rest, sep, list(more.items())

    async def main():
        xs, named = [1, 2, 3], {"z": 1, "a": 2}
        return [await f(*xs), await f(0, sep="+", **named), await f(*xs, *xs, **named, y=3)]

    return main


@program
def parameters_named_like_ours(task, log):
    @task
    async def f(self, cls, name, timeout, queue, options, namespace, args, kwargs, task, function):
        return self, cls, name, timeout, queue, options, namespace, args, kwargs, task, function

    async def main():
        names = list(inspect.signature(f).parameters)
        return [
            await f(*range(11)),
            await f(**{name: name.upper() for name in names}),
        ]

    return main


@program
def keywords_named_like_ours(task, log):
    @task
    async def f(**kwargs):
        return kwargs

    async def main():
        return await f(
            self=1,
            task=2,
            options=3,
            args=4,
            kwargs=5,
            function=6,
            codec=7,
            call=8,
            id=9,
            context=0,
        )

    return main


@program
def parameters_of_any_alphabet(task, log):
    @task
    async def länge(größe, *, наименование="ja"):
        return größe, наименование

    async def main():
        return [await länge(größe=3), await länge(1, наименование="nein")]

    return main


@program
def dunder_parameters(task, log):
    @task
    async def f(__a, _b, *, __c=3):
        return __a, _b, __c

    async def main():
        return await f(1, 2, __c=4)

    return main


@program
def wrong_arguments(task, log):
    @task
    async def f(a, b, *, c=3):
        log("never")

    async def main():
        caught = []
        for args, kwargs in [
            ((), {}),
            ((1,), {}),
            ((1, 2, 3), {}),
            ((1, 2), {"d": 4}),
            ((1, 2), {"a": 4}),
            ((1, 2), {"cc": 4}),
            ((), {"b": 2}),
        ]:
            try:
                f(*args, **kwargs)
            except TypeError as exc:
                caught.append(exc.args)
        return caught

    return main


@program
def wrong_positional_only(task, log):
    @task
    async def f(a, /, b, *, c):
        log("never")

    async def main():
        caught = []
        for args, kwargs in [((), {"a": 1, "b": 2, "c": 3}), ((1, 2), {}), ((1, 2, 3), {"c": 1})]:
            try:
                f(*args, **kwargs)
            except TypeError as exc:
                caught.append(str(exc))
        return caught

    return main


@program
def wrong_arguments_of_variadic(task, log):
    @task
    async def f(a, *rest, b, **more):
        log("never")

    async def main():
        caught = []
        for args, kwargs in [((), {}), ((1, 2), {}), ((1,), {"a": 2, "b": 3}), ((), {"b": 1})]:
            try:
                f(*args, **kwargs)
            except TypeError as exc:
                caught.append(str(exc))
        return caught

    return main


@program
def wrong_arguments_of_generator(task, log):
    @task
    async def f(a):
        yield a

    async def main():
        try:
            f()
        except TypeError as exc:
            return str(exc)

    return main


@program(raises=TypeError)
def wrong_arguments_raised(task, log):
    @task
    async def f(a):
        return a

    async def main():
        await asyncio.gather(f(1), f(2, 3))

    return main


@program
def default_made_by_callee(task, log):
    @task
    async def f(x, *, factor=[1, 2]):  # noqa: B006
        return [x * each for each in factor]

    async def main():
        return await f(3)

    return main


@program(shared=True)
def mutable_default(task, log):
    @task
    async def f(x, seen=[]):  # noqa: B006
        seen.append(x)
        return seen

    async def main():
        return [await f(1), await f(2), await f(3)]

    return main


@program
def order_of_keywords(task, log):
    @task
    async def f(**named):
        return list(named)

    async def main():
        return [await f(z=1, a=2, m=3), await f(m=1, z=2, a=3)]

    return main


@program
def order_of_evaluation(task, log):
    @task
    async def f(x):
        log("f", x)
        return x

    def argument(x):
        log("argument", x)
        return x

    async def main():
        return await f(argument(1)) + await f(argument(await f(2)))

    return main


@program
def arguments_are_taken_at_the_call(task, log):
    @task
    async def f(x):
        return x

    async def main():
        x = 1
        called = f(x)
        x = 2
        return await called, x

    return main


# -- shapes of functions -----------------------------------------------------------------------


@program
def partial_of_task(task, log):
    @task
    async def f(a, b, *, c=0):
        return a, b, c

    async def main():
        g = functools.partial(f, 1, c=3)
        return [await g(2), await functools.partial(g, 5)(c=6), inspect.iscoroutinefunction(g)]

    return main


@program
def task_of_partial(task, log):
    async def f(a, b, *, c=0):
        return a, b, c

    g = task(functools.partial(f, 1, c=3), name="task_of_partial")

    async def main():
        return [await g(2), await g(2, c=4)]

    return main


@program
def task_of_partial_wrong_arguments(task, log):
    async def f(a, b):
        return a, b

    g = task(functools.partial(f, 1), name="task_of_partial_wrong_arguments")

    async def main():
        try:
            g(2, 3)
        except TypeError:
            return "refused"

    return main


@program
def called_as_a_function(task, log):
    async def f(x):
        return x + 1

    g = task(f, name="called_as_a_function")

    async def main():
        return [await g(1), await f(1), g.__name__]

    return main


@program
def lambda_as_task(task, log):
    later = task(lambda x: asyncio.sleep(0, x), name="lambda_as_task", executor="loop")

    async def main():
        return await later(7)

    return main


class Adder:
    """A callable object."""

    def __init__(self, n):
        self.n = n

    async def __call__(self, x):
        return self.n + x


@program
def callable_object(task, log):
    add = task(Adder(2), name="callable_object", executor="loop")

    async def main():
        return await add(3)

    return main


@program
def bound_method_as_task(task, log):
    add = task(Adder(2).__call__, name="bound_method_as_task")

    async def main():
        return await add(3)

    return main


@program
def plain_function_that_returns_a_coroutine(task, log):
    async def inner(x):
        return x * 2

    @task
    def f(x) -> Coroutine[Any, Any, int]:
        log("called", x)
        return inner(x)

    async def main():
        return await f(4)

    return main


@program
def plain_function_that_returns_a_future(task, log):
    @task(executor="loop")
    def f(x):
        future = asyncio.get_running_loop().create_future()
        future.set_result(x)
        return future

    async def main():
        return await f(4)

    return main


@program
def plain_function_that_returns_an_awaitable_object(task, log):
    class Later:
        def __init__(self, x):
            self.x = x

        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return self.x

    @task
    def f(x) -> Awaitable[int]:
        return Later(x)

    async def main():
        return await f(4)

    return main


@program
def coroutine_of_types(task, log):
    @task
    @types.coroutine
    def f(x) -> Awaitable[int]:
        yield from asyncio.sleep(0).__await__()
        return x

    async def main():
        return await f(4)

    return main


@program
def plain_function_in_a_thread(task, log):
    @task
    def f(x):
        log("ran", x)
        return x + 1

    async def main():
        return [await f(1), inspect.iscoroutinefunction(f), f.__name__]

    return main


@program
def plain_function_that_fails(task, log):
    @task
    def f(x):
        return 1 / x

    async def main():
        try:
            await f(0)
        except ZeroDivisionError as exc:
            return exc

    return main


@program
def plain_functions_at_once(task, log):
    @task
    def f(x):
        return x * x

    async def main():
        return await asyncio.gather(*map(f, range(10)))

    return main


@program
def decorator_above(task, log):
    def twice(function):
        @functools.wraps(function)
        async def wrapper(*args, **kwargs):
            return [await function(*args, **kwargs), await function(*args, **kwargs)]

        return wrapper

    @twice
    @task
    async def f(x):
        log("f", x)
        return x

    async def main():
        return [await f(1), f.__name__, inspect.iscoroutinefunction(f)]

    return main


@program
def decorator_below(task, log):
    def twice(function):
        @functools.wraps(function)
        async def wrapper(*args, **kwargs):
            return [await function(*args, **kwargs), await function(*args, **kwargs)]

        return wrapper

    @task
    @twice
    async def f(x):
        log("f", x)
        return x

    async def main():
        return [await f(1), f.__name__, str(inspect.signature(f))]

    return main


@program
def plain_decorator_below(task, log):
    def noted(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            log("called", *args)
            return function(*args, **kwargs)

        return wrapper

    @task
    @noted
    async def f(x):
        return x

    async def main():
        return [await f(1), str(inspect.signature(f))]

    return main


@program
def decorator_that_changes_arguments(task, log):
    def with_one(function):
        @functools.wraps(function)
        async def wrapper(x):
            return await function(1, x)

        return wrapper

    @with_one
    @task
    async def f(a, b):
        return a, b

    async def main():
        return await f(2)

    return main


# -- methods -----------------------------------------------------------------------------------


@program
def static_method(task, log):
    class Numbers:
        @staticmethod
        @task
        async def above(x):
            return x + 1

        @task
        @staticmethod
        async def below(x):
            return x + 2

    async def main():
        return [
            await Numbers.above(1),
            await Numbers().above(1),
            await Numbers.below(1),
            await Numbers().below(1),
        ]

    return main


@program
def instance_method(task, log):
    @register
    @dataclasses.dataclass
    class Point:
        x: int
        y: int

        @task
        async def moved(self, by, *, times=1):
            return Point(self.x + by * times, self.y + by * times)

        @task
        async def steps(self, n):
            for i in range(n):
                yield self.x + i

    async def main():
        point = Point(1, 2)
        moved = await point.moved(3, times=2)
        return [
            dataclasses.astuple(moved),
            dataclasses.astuple(await Point.moved(moved, 1)),
            [x async for x in point.steps(3)],
        ]

    return main


@program
def method_looks(task, log):
    class Point:
        @task
        async def moved(self, by: int) -> int:
            """Move."""

    async def main():
        bound = Point().moved
        return [
            inspect.ismethod(bound),
            str(inspect.signature(bound)),
            bound.__doc__,
            bound.__qualname__,
            inspect.iscoroutinefunction(bound),
        ]

    return main


@program
def wrong_arguments_of_method(task, log):
    class Point:
        @task
        async def moved(self, by):
            log("never")

    async def main():
        caught = []
        for args in [(), (1, 2)]:
            try:
                Point().moved(*args)
            except TypeError as exc:
                caught.append(str(exc))
        return caught

    return main


@program
def method_of_a_subclass(task, log):
    @register
    @dataclasses.dataclass
    class Base:
        name: str

        @task
        async def hello(self):
            return f"I am {self.name}"

    @register
    @dataclasses.dataclass
    class Loud(Base):
        @task
        async def hello(self):
            return (await super().hello()).upper()

    async def main():
        return [await Base("a").hello(), await Loud("b").hello()]

    return main


@program
def asynchronous_special_methods(task, log):
    @register
    @dataclasses.dataclass
    class Session:
        name: str

        @task
        async def __aenter__(self):
            log("enter", self.name)
            return self.name

        @task
        async def __aexit__(self, *exc):
            log("leave", self.name, exc[0] is None)

    async def main():
        async with Session("s") as name:
            log("inside", name)
        return name

    return main


# -- looks -------------------------------------------------------------------------------------


@program
def looks(task, log):
    @task
    async def f(a: int, /, b: str = "x", *c: float, d: bool, **e: Any) -> list[int]:
        """Document f."""

    f.note = "mine"

    async def main():
        return [
            f.__name__,
            f.__qualname__,
            f.__module__,
            f.__doc__,
            f.__annotations__,
            f.__type_params__ if hasattr(f, "__type_params__") else (),
            f.note,
            str(inspect.signature(f)),
            typing.get_type_hints(f),
            inspect.iscoroutinefunction(f),
            asyncio.iscoroutinefunction(f),
            inspect.isasyncgenfunction(f),
            inspect.isfunction(f),
            inspect.isgeneratorfunction(f),
            callable(f),
            inspect.getdoc(f),
            inspect.getsource(f),
            inspect.unwrap(f).__name__,
        ]

    return main


@program
def looks_of_defaults(task, log):
    @task
    async def f(a, b=2, *, c=3):
        pass

    async def main():
        return f.__defaults__, f.__kwdefaults__

    return main


@program
def looks_of_generator(task, log):
    @task
    async def f(a: int, b: str = "x") -> typing.AsyncIterator[int]:
        """Document f."""
        yield 1

    async def main():
        return [
            f.__name__,
            f.__qualname__,
            f.__doc__,
            f.__annotations__,
            str(inspect.signature(f)),
            inspect.iscoroutinefunction(f),
            inspect.isasyncgenfunction(f),
            inspect.isasyncgen(f(1)),
            f(1).__name__,
            f(1).__qualname__,
        ]

    return main


@program
def looks_of_the_coroutine(task, log):
    @task
    async def f(x):
        return x

    async def main():
        coroutine = f(1)
        found = [
            type(coroutine),
            inspect.iscoroutine(coroutine),
            inspect.isawaitable(coroutine),
            asyncio.iscoroutine(coroutine),
            coroutine.__name__,
            coroutine.__qualname__,
            inspect.getcoroutinestate(coroutine),
            repr(coroutine),
        ]
        coroutine.close()
        return [*found, inspect.getcoroutinestate(coroutine)]

    return main


@program
def looks_of_the_asyncio_task(task, log):
    @task
    async def f(x):
        return x

    async def main():
        running = asyncio.create_task(f(1), name="one")
        found = [running.get_name(), running.get_coro().__qualname__]
        await running
        return [*found, running.result(), running.done(), running.cancelled()]

    return main


@program
def looks_through_wraps(task, log):
    @task
    async def f(x: int, y: str = "a") -> int:
        """Document f."""
        return x

    @functools.wraps(f)
    async def g(*args, **kwargs):
        return await f(*args, **kwargs)

    async def main():
        return [g.__name__, g.__doc__, str(inspect.signature(g)), await g(1)]

    return main


@program
def attributes_of_the_function(task, log):
    async def f(x):
        return x

    f.colour = "blue"
    g = task(f, name="attributes_of_the_function")

    async def main():
        return g.colour

    return main


# -- coroutines that are not awaited -----------------------------------------------------------


@program
def never_awaited(task, log):
    @task
    async def forgotten(x):
        log("never")

    async def main():
        forgotten(1)
        gc.collect()

    return main


@program
def never_awaited_by_a_task(task, log):
    @task
    async def forgotten():
        log("never")

    @task
    async def f():
        forgotten()
        return "done"

    async def main():
        return await f()

    return main


@program
def generator_never_iterated(task, log):
    @task
    async def forgotten():
        yield 1

    async def main():
        forgotten()
        gc.collect()

    return main


@program
def awaited_twice(task, log):
    @task
    async def f():
        log("once")
        return 1

    async def main():
        coroutine = f()
        first = await coroutine
        try:
            await coroutine
        except RuntimeError as exc:
            return first, exc

    return main


@program
def closed_before_it_is_awaited(task, log):
    @task
    async def f():
        log("never")

    async def main():
        coroutine = f()
        coroutine.close()
        try:
            await coroutine
        except RuntimeError as exc:
            return exc

    return main


@program
def thrown_into_before_it_is_awaited(task, log):
    @task
    async def f():
        log("never")

    async def main():
        coroutine = f()
        try:
            coroutine.throw(KeyError("early"))
        except KeyError as exc:
            return exc.args

    return main


# -- calls within calls ------------------------------------------------------------------------


@program
def factorial(task, log):
    @task
    async def fact(n):
        return 1 if n < 2 else n * await fact(n - 1)

    async def main():
        return await fact(12)

    return main


@program
def fibonacci(task, log):
    @task
    async def fib(n):
        return n if n < 2 else sum(await asyncio.gather(fib(n - 1), fib(n - 2)))

    async def main():
        return await fib(6)

    return main


@program
def mutual_recursion(task, log):
    @task
    async def is_even(n):
        log("even", n)
        return True if n == 0 else await is_odd(n - 1)

    @task
    async def is_odd(n):
        log("odd", n)
        return False if n == 0 else await is_even(n - 1)

    async def main():
        return await is_even(7)

    return main


@program
def deep_recursion(task, log):
    @task
    async def down(n):
        return 0 if n == 0 else 1 + await down(n - 1)

    async def main():
        return await down(60)

    return main


@program
def ackermann(task, log):
    @task
    async def ack(m, n):
        if m == 0:
            return n + 1
        return await ack(m - 1, 1 if n == 0 else await ack(m, n - 1))

    async def main():
        return await ack(2, 2)

    return main


@program
def local_calls_within_a_task(task, log):
    async def local(x):
        await asyncio.sleep(0)
        return x + 1

    @task
    async def f(x):
        return await local(x) + await local(x)

    async def main():
        return await f(1)

    return main


@program
def task_of_each_name(task, log):
    def made(n):
        async def f(x):
            return x * n

        return task(f, name=f"task_of_each_name_{n}")

    table = {n: made(n) for n in range(3)}

    async def main():
        return [await table[n](10) for n in table]

    return main


@program
def background_work_of_a_task(task, log):
    pending = set()

    @task
    async def f():
        async def later():
            await log.until("caller has it")
            log("background")

        pending.add(asyncio.create_task(later()))
        return "early"

    async def main():
        result = await f()
        log("caller has it")
        await log.until("background")
        return result

    return main


@program
def asynchronous_comprehensions(task, log):
    @task
    async def double(x):
        return 2 * x

    @task
    async def numbers(n):
        for i in range(n):
            yield i

    async def main():
        return [
            [await double(x) async for x in numbers(4)],
            {await double(x) for x in range(3)},
            {x: await double(x) for x in (1, 2)},
            [x async for x in numbers(9) if await double(x) % 4],
        ]

    return main


@program
def awaited_in_odd_places(task, log):
    @task
    async def f(x):
        log("f", x)
        return x

    async def main():
        found = [f"{await f(1)}", await f(2) if await f(0) else await f(3)]
        found.append(await f(0) or (await f(4) and await f(5)))
        with contextlib.suppress(AssertionError):
            assert await f(0), await f(6)
        while await f(0):
            pass
        else:
            found.append({await f("k"): await f("v")})
        return found

    return main


@program
def class_method(task, log):
    @register
    @dataclasses.dataclass
    class Point:
        x: int

        @classmethod
        @task
        async def above(cls, x):
            return cls.__name__, cls(x).x

        @task
        @classmethod
        async def below(cls, x):
            return cls.__name__, cls(x).x

    class Derived(Point):
        pass

    async def main():
        return [
            await Point.above(1),
            await Point(0).above(2),
            await Point.below(3),
            await Point(0).below(4),
            str(inspect.signature(Point.above)),
        ]

    return main


@program
def property_that_calls_a_task(task, log):
    @register
    @dataclasses.dataclass
    class Point:
        x: int

        @property
        @task
        async def doubled(self):
            return 2 * self.x

    async def main():
        return await Point(3).doubled

    return main


@program
def abstract_method(task, log):
    class Base(abc.ABC):
        @task
        @abc.abstractmethod
        async def run(self):
            """Run."""

    async def main():
        try:
            Base()
        except TypeError as exc:
            return str(exc)

    return main


class Planet(enum.Enum):
    """An enumeration whose methods are made tasks below."""

    MARS = 4
    VENUS = 2


@program
def method_of_an_enumeration(task, log):
    @task(name="method_of_an_enumeration")
    async def moons(self):
        return self.name, self is Planet.MARS

    async def main():
        return await moons(Planet.MARS), await moons(Planet.VENUS)

    return main


@program
def partial_method(task, log):
    @register
    @dataclasses.dataclass
    class Cell:
        name: str

        @task
        async def set(self, state, *, log_it=False):
            return self.name, state, log_it

        alive = functools.partialmethod(set, True, log_it=True)

    async def main():
        return await Cell("a").alive()

    return main


@program
def cached_result_is_awaited_twice(task, log):
    @functools.cache
    @task
    async def f(x):
        return x

    async def main():
        first = await f(1)
        try:
            return first, await f(1)
        except RuntimeError as exc:
            return first, str(exc)

    return main


@program
def single_dispatch(task, log):
    @functools.singledispatch
    @task
    async def kind(x):
        return "object"

    @kind.register
    @task
    async def _(x: int):
        return "int"

    async def main():
        return await kind("a"), await kind(1)

    return main


@program
def thread_is_not_stopped_by_a_cancel(task, log):
    @task
    def f():
        log("began")
        while "go" not in log.lines():
            time.sleep(0.001)
        log("thread ended")

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel("leave it")
        try:
            await running
        except asyncio.CancelledError as exc:
            caught = exc.args
        log("go")
        await log.until("thread ended")
        return caught

    return main


@program
def thread_that_raises_stop_iteration(task, log):
    @task
    def f():
        raise ValueError(next(iter([1])))

    async def main():
        try:
            await f()
        except ValueError as exc:
            return exc.args

    return main


@program
def context_set_in_a_thread(task, log):
    variable = contextvars.ContextVar("differential_thread", default="unset")

    @task
    def f():
        variable.set("inside")
        return variable.get()

    async def main():
        return await f()

    return main


@program
def current_task_within_a_task(task, log):
    @task
    async def f():
        me = asyncio.current_task()
        return me is not None, me.cancelling(), asyncio.get_running_loop().is_running()

    async def main():
        return await f()

    return main


@program
def subclass_that_calls_super(task, log):
    class Base:
        @staticmethod
        @task
        async def greet(name):
            return f"hello {name}"

    class Polite(Base):
        @staticmethod
        @task
        async def greet(name):
            return f"{await Base.greet(name)}, how are you"

    async def main():
        return await Polite.greet("a"), await Polite().greet("b")

    return main


@program
def closure_over_constants(task, log):
    prefix, table = "p", {"a": 1}

    @task
    async def f(key):
        return prefix + key, table.get(key)

    async def main():
        return await f("a"), await f("b")

    return main


@program
def signature_without_following_wrapped(task, log):
    @task
    async def f(a, /, b: int = 1, *, c="c"):
        pass

    async def main():
        specification = inspect.getfullargspec(f)
        bound = inspect.signature(f).bind(1, c=2)
        bound.apply_defaults()
        return specification, bound.arguments

    return main
