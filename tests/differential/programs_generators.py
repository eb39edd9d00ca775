"""Programs whose tasks are async generators."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc

from .table import program


@program
def iterated(task, log):
    @task
    async def count(n):
        for i in range(n):
            log("yield", i)
            yield i
        log("end")

    async def main():
        found = []
        async for x in count(3):
            log("got", x)
            found.append(x)
        return found

    return main


@program
def empty(task, log):
    @task
    async def nothing():
        log("ran")
        return
        yield

    async def main():
        return [x async for x in nothing()]

    return main


@program
def broken_out_of(task, log):
    @task
    async def count():
        i = 0
        try:
            while True:
                yield i
                i += 1
        except GeneratorExit:
            log("exit")
            raise
        finally:
            log("finally")

    async def main():
        found = []
        async with contextlib.aclosing(count()) as numbers:
            async for x in numbers:
                found.append(x)
                if x == 3:
                    break
        log("after")
        return found

    return main


@program
def broken_out_of_and_collected(task, log):
    @task
    async def count():
        i = 0
        try:
            while True:
                yield i
                i += 1
        finally:
            log("finally")

    async def main():
        async for x in count():
            if x == 2:
                break
        gc.collect()
        await log.until("finally")
        return x

    return main


@program
def left_open_at_the_end(task, log):
    @task
    async def count():
        try:
            yield 1
            yield 2
        finally:
            log("finally")

    kept = []

    async def main():
        numbers = count()
        kept.append(numbers)
        return await anext(numbers)

    return main


@program
def anext_by_hand(task, log):
    @task
    async def count(n):
        for i in range(n):
            yield i

    async def main():
        numbers = count(2)
        found = [aiter(numbers) is numbers, await anext(numbers), await anext(numbers)]
        found.append(await anext(numbers, "default"))
        try:
            await anext(numbers)
        except StopAsyncIteration as exc:
            return found, exc.args

    return main


@program
def asend(task, log):
    @task
    async def echo():
        got = None
        while got != "stop":
            got = yield got
            log("got", got)

    async def main():
        generator = echo()
        found = [await generator.asend(None)]
        for x in ("a", 2, [3]):
            found.append(await generator.asend(x))
        try:
            await generator.asend("stop")
        except StopAsyncIteration:
            return found

    return main


@program
def asend_of_none_and_anext_mixed(task, log):
    @task
    async def averages():
        total, n = 0, 0
        while True:
            x = yield total / max(n, 1)
            if x is not None:
                total, n = total + x, n + 1

    async def main():
        generator = averages()
        found = [await anext(generator)]
        found.append(await generator.asend(4))
        found.append(await anext(generator))
        found.append(await generator.asend(6))
        await generator.aclose()
        return found

    return main


@program
def asend_to_one_not_started(task, log):
    @task
    async def f():
        yield 1

    async def main():
        generator = f()
        try:
            await generator.asend("early")
        except TypeError as exc:
            caught = str(exc)
        return caught, await anext(generator)

    return main


@program
def athrow_caught_by_the_generator(task, log):
    @task
    async def f():
        while True:
            try:
                yield "waiting"
            except ValueError as exc:
                log("caught", exc.args)
                yield "caught"

    async def main():
        generator = f()
        found = [await anext(generator), await generator.athrow(ValueError("a", 1))]
        found.append(await anext(generator))
        await generator.aclose()
        return found

    return main


@program
def athrow_not_caught(task, log):
    @task
    async def f():
        try:
            yield 1
        finally:
            log("finally")

    async def main():
        generator = f()
        await anext(generator)
        thrown = ValueError("thrown")
        try:
            await generator.athrow(thrown)
        except ValueError as exc:
            return exc is thrown, exc, await anext(generator, "over")

    return main


@program
def athrow_replaced(task, log):
    @task
    async def f():
        try:
            yield 1
        except ValueError as exc:
            raise KeyError("instead") from exc

    async def main():
        generator = f()
        await anext(generator)
        try:
            await generator.athrow(ValueError("thrown"))
        except KeyError as exc:
            return exc.args, type(exc.__cause__), exc.__cause__.args

    return main


@program
def athrow_that_ends_it(task, log):
    @task
    async def f():
        with contextlib.suppress(ValueError):
            yield 1

    async def main():
        generator = f()
        await anext(generator)
        try:
            await generator.athrow(ValueError("thrown"))
        except StopAsyncIteration:
            return "ended"

    return main


@program
def athrow_into_one_not_started(task, log):
    @task
    async def f():
        log("never")
        yield 1

    async def main():
        generator = f()
        try:
            await generator.athrow(ValueError("early"))
        except ValueError as exc:
            return exc.args, await anext(generator, "over")

    return main


@program
def athrow_after_the_end(task, log):
    @task
    async def f():
        yield 1

    async def main():
        generator = f()
        found = [x async for x in generator]
        try:
            found.append(await generator.athrow(ValueError("late")))
        except ValueError as exc:
            found.append(exc.args)
        except StopAsyncIteration:
            found.append("over")
        return found

    return main


@program
def aclose_in_the_middle(task, log):
    @task
    async def f():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            log("finally")

    async def main():
        generator = f()
        found = [await anext(generator)]
        await generator.aclose()
        log("closed")
        await generator.aclose()
        return found, await anext(generator, "over")

    return main


@program
def aclose_of_one_not_started(task, log):
    @task
    async def f():
        log("never")
        yield 1

    async def main():
        generator = f()
        await generator.aclose()
        return await anext(generator, "over")

    return main


@program
def aclose_that_fails(task, log):
    @task
    async def f():
        try:
            yield 1
        finally:
            raise ValueError("in finally")

    async def main():
        generator = f()
        await anext(generator)
        try:
            await generator.aclose()
        except ValueError as exc:
            return exc.args

    return main


@program
def aclose_ignored(task, log):
    @task
    async def f():
        try:
            yield 1
        except GeneratorExit:
            yield 2

    async def main():
        generator = f()
        await anext(generator)
        try:
            await generator.aclose()
        except RuntimeError as exc:
            return str(exc)

    return main


@program
def aclose_swallowed(task, log):
    @task
    async def f():
        try:
            yield 1
        except GeneratorExit:
            log("swallowed")

    async def main():
        generator = f()
        await anext(generator)
        return await generator.aclose()

    return main


@program
def aclose_and_a_call_in_finally(task, log):
    @task
    async def save(x):
        log("saved", x)

    @task
    async def f():
        try:
            yield 1
        finally:
            await save("state")

    async def main():
        generator = f()
        await anext(generator)
        await generator.aclose()
        log("closed")

    return main


@program
def generator_that_fails(task, log):
    @task
    async def f():
        yield 1
        raise ValueError("after one")

    async def main():
        found, generator = [], f()
        try:
            async for x in generator:
                found.append(x)
        except ValueError as exc:
            return found, exc, await anext(generator, "over")

    return main


@program
def generator_that_fails_at_once(task, log):
    @task
    async def f(x):
        raise LookupError(x)
        yield

    async def main():
        try:
            async for _ in f("x"):
                log("never")
        except LookupError as exc:
            return exc

    return main


@program
def generator_that_raises_stop_async_iteration(task, log):
    @task
    async def f():
        yield 1
        raise StopAsyncIteration("no")

    async def main():
        found = []
        try:
            async for x in f():
                found.append(x)
        except RuntimeError as exc:
            return found, exc

    return main


@program
def consumer_that_fails(task, log):
    @task
    async def f():
        try:
            for i in range(5):
                yield i
        finally:
            log("finally")

    async def main():
        try:
            async with contextlib.aclosing(f()) as numbers:
                async for x in numbers:
                    raise ValueError(x)
        except ValueError as exc:
            return exc

    return main


@program
def cancel_while_the_generator_works(task, log):
    @task
    async def f():
        yield 1
        log("works")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as exc:
            log("cancelled", exc.args)
            raise
        finally:
            log("finally")

    async def consume():
        async for x in f():
            log("got", x)

    async def main():
        running = asyncio.create_task(consume())
        await log.until("works")
        running.cancel("stop")
        try:
            await running
        except asyncio.CancelledError as exc:
            return exc

    return main


@program
def cancel_while_the_consumer_works(task, log):
    @task
    async def f():
        try:
            yield 1
            yield 2
        finally:
            log("finally")

    async def consume():
        async with contextlib.aclosing(f()) as numbers:
            async for x in numbers:
                log("got", x)
                await asyncio.Event().wait()

    async def main():
        running = asyncio.create_task(consume())
        await log.until("got 1")
        running.cancel("stop")
        try:
            await running
        except asyncio.CancelledError as exc:
            return exc

    return main


@program
def cancel_swallowed_by_the_generator(task, log):
    @task
    async def f():
        log("works")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            yield "in spite of it"
        yield "and on"

    async def consume():
        return [x async for x in f()]

    async def main():
        running = asyncio.create_task(consume())
        await log.until("works")
        running.cancel()
        return await running

    return main


@program
def timeout_around_an_item(task, log):
    @task
    async def f():
        yield 1
        log("works")
        try:
            await asyncio.Event().wait()
        finally:
            log("finally")

    async def main():
        generator = f()
        found = [await anext(generator)]
        running = asyncio.create_task(anext(generator))
        await log.until("works")
        try:
            await asyncio.wait_for(running, 0.01)
        except TimeoutError:
            return found, await anext(generator, "over")

    return main


@program
def generator_within_a_generator(task, log):
    @task
    async def inner(n):
        try:
            for i in range(n):
                yield i
        finally:
            log("inner finally", n)

    @task
    async def outer(n):
        for i in range(n):
            async for x in inner(i):
                yield i, x

    async def main():
        return [x async for x in outer(4)]

    return main


@program
def generator_that_calls_tasks(task, log):
    @task
    async def square(x):
        return x * x

    @task
    async def squares(n):
        for i in range(n):
            yield await square(i)

    async def main():
        return [x async for x in squares(4)]

    return main


@program
def task_that_consumes_a_generator(task, log):
    @task
    async def numbers(n):
        for i in range(n):
            yield i

    @task
    async def total(n):
        return sum([x async for x in numbers(n)])

    async def main():
        return await total(5)

    return main


@program
def several_generators_at_once(task, log):
    @task
    async def numbers(start, n):
        for i in range(n):
            await asyncio.sleep(0)
            yield start + i

    async def collect(start):
        return [x async for x in numbers(start, 4)]

    async def main():
        return await asyncio.gather(*map(collect, (0, 10, 20)))

    return main


@program
def generators_zipped(task, log):
    @task
    async def letters():
        for c in "abc":
            yield c

    @task
    async def numbers():
        i = 0
        while True:
            yield i
            i += 1

    async def main():
        found, counting = [], numbers()
        async for letter in letters():
            found.append((letter, await anext(counting)))
        await counting.aclose()
        return found

    return main


@program
def asked_twice_at_once(task, log):
    @task
    async def f():
        log("works")
        await log.until("go")
        yield 1

    async def main():
        generator = f()
        first = asyncio.create_task(anext(generator))
        await log.until("works")
        try:
            await anext(generator)
        except RuntimeError as exc:
            caught = str(exc)
        log("go")
        return caught, await first

    return main


@program
def context_manager_made_of_a_generator(task, log):
    @contextlib.asynccontextmanager
    @task
    async def session(name):
        log("open", name)
        try:
            yield f"session {name}"
        except ValueError as exc:
            log("failed", exc.args)
            raise
        finally:
            log("close", name)

    async def main():
        async with session("a") as name:
            log("in", name)
        try:
            async with session("b"):
                raise ValueError("body")
        except ValueError as exc:
            return name, exc.args

    return main


@program
def context_manager_that_swallows(task, log):
    @contextlib.asynccontextmanager
    @task
    async def forgiving():
        try:
            yield
        except ValueError as exc:
            log("swallowed", exc.args)

    async def main():
        async with forgiving():
            raise ValueError("body")
        return "went on"

    return main


@program
def context_manager_that_replaces(task, log):
    @contextlib.asynccontextmanager
    @task
    async def translating():
        try:
            yield
        except KeyError as exc:
            raise LookupError("translated") from exc

    async def main():
        try:
            async with translating():
                raise KeyError("body")
        except LookupError as exc:
            return type(exc), exc.args, type(exc.__cause__)

    return main


@program
def context_manager_and_a_stop_async_iteration(task, log):
    @contextlib.asynccontextmanager
    @task
    async def plain():
        yield

    async def main():
        try:
            async with plain():
                raise StopAsyncIteration("body")
        except StopAsyncIteration as exc:
            return exc.args

    return main


@program
def yield_in_finally(task, log):
    @task
    async def f():
        try:
            yield 1
        finally:
            yield "in finally"

    async def main():
        return [x async for x in f()]

    return main


@program
def yields_values_of_many_kinds(task, log):
    @task
    async def f():
        for x in (None, 1, "a", b"b", (1, 2), {3}, {"k": [4]}, 1.5, True):
            yield x

    async def main():
        return [x async for x in f()]

    return main


@program
def yields_what_was_sent(task, log):
    @task
    async def f():
        got = []
        while len(got) < 3:
            got.append((yield len(got)))
        yield got

    async def main():
        generator = f()
        await anext(generator)
        for x in ("a", "b"):
            await generator.asend(x)
        return await generator.asend("c")

    return main


@program
def many_items(task, log):
    @task
    async def f(n):
        for i in range(n):
            yield i

    async def main():
        return [x async for x in f(200)] == list(range(200))

    return main


@program
def generator_as_a_method(task, log):
    class Numbers:
        @classmethod
        def all(cls):
            return cls.up_to(3)

        @staticmethod
        @task
        async def up_to(n):
            for i in range(n):
                yield i

    async def main():
        return [x async for x in Numbers.all()]

    return main


@program
def async_generator_attributes(task, log):
    @task
    async def f():
        yield 1

    async def main():
        generator = f()
        found = [generator.ag_running, type(generator).__name__, generator.ag_await]
        await anext(generator)
        found.append(generator.ag_frame is None)
        await generator.aclose()
        found.append(generator.ag_frame is None)
        return found

    return main


@program
def lazy_start(task, log):
    @task
    async def f():
        log("began")
        yield 1

    async def main():
        generator = f()
        log("made")
        await asyncio.sleep(0)
        log("asks")
        found = await anext(generator)
        await generator.aclose()
        return found

    return main


@program
def does_not_run_ahead(task, log):
    @task
    async def f():
        for i in range(3):
            log("yield", i)
            yield i

    async def main():
        async for x in f():
            await asyncio.sleep(0.005)
            log("used", x)

    return main


@program
def note_added_to_what_was_thrown(task, log):
    @task
    async def f():
        try:
            yield 1
        except ValueError as exc:
            exc.add_note("seen by the generator")
            raise

    async def main():
        generator = f()
        await anext(generator)
        thrown = ValueError("thrown")
        thrown.add_note("before")
        try:
            await generator.athrow(thrown)
        except ValueError as exc:
            return exc is thrown, exc

    return main


@program
def cause_is_what_was_thrown(task, log):
    @task
    async def f():
        try:
            yield 1
        except ValueError as exc:
            raise KeyError("instead") from exc

    async def main():
        generator = f()
        await anext(generator)
        thrown = ValueError("thrown")
        try:
            await generator.athrow(thrown)
        except KeyError as exc:
            return exc.__cause__ is thrown, exc.__context__ is thrown, exc

    return main


@program
def thrown_twice(task, log):
    @task
    async def f():
        for _ in range(2):
            try:
                yield "waiting"
            except ValueError as exc:
                log("caught", exc)
        yield "done"

    async def main():
        generator = f()
        await anext(generator)
        exc = ValueError("again")
        found = [await generator.athrow(exc), await generator.athrow(exc)]
        await generator.aclose()
        return found

    return main


@program
def thrown_and_raised_later(task, log):
    @task
    async def f():
        try:
            yield 1
        except ValueError as exc:
            kept = exc
        yield 2
        raise kept

    async def main():
        generator = f()
        await anext(generator)
        await generator.athrow(ValueError("kept"))
        try:
            await anext(generator)
        except ValueError as exc:
            return exc.args

    return main


@program
def thrown_class_of_the_program(task, log):
    class OwnError(Exception):
        def __init__(self, code):
            super().__init__("own")
            self.code = code

    @task
    async def f():
        try:
            yield 1
        except OwnError as exc:
            yield exc.code

    async def main():
        generator = f()
        await anext(generator)
        found = await generator.athrow(OwnError(7))
        await generator.aclose()
        return found

    return main


@program
def raised_with_the_context_of_the_consumer(task, log):
    @task
    async def f():
        yield 1
        raise ValueError("of the generator")

    async def consume():
        generator = f()
        await anext(generator)
        try:
            raise KeyError("of the consumer")
        except KeyError:
            await anext(generator)

    async def main():
        try:
            await consume()
        except ValueError as exc:
            return exc

    return main


@program
def generator_that_cancels_itself(task, log):
    @task
    async def f():
        yield 1
        raise asyncio.CancelledError("my own")

    async def main():
        found = []
        try:
            async for x in f():
                found.append(x)
        except asyncio.CancelledError as exc:
            return found, exc, asyncio.current_task().cancelling()

    return main


@program
def generator_that_exits(task, log):
    @task
    async def f(kind):
        yield 1
        if kind == "exit":
            raise SystemExit(3)
        raise KeyboardInterrupt("k")

    async def main():
        found = []
        for kind in ("exit", "interrupt"):
            try:
                async for x in f(kind):
                    found.append(x)
            except BaseException as exc:
                found.append(exc)
        return found

    return main


@program
def tree_walked_by_generators(task, log):
    tree = {"a": ["b", "c"], "b": ["d"], "c": [], "d": []}

    @task
    async def walk(node):
        yield node
        for child in tree[node]:
            async for each in walk(child):
                yield each

    async def main():
        return [node async for node in walk("a")]

    return main


@program
def variable_reset_within_a_context_manager(task, log):
    variable = contextvars.ContextVar("differential_scoped", default="outer")

    @contextlib.asynccontextmanager
    @task
    async def scoped():
        token = variable.set("inner")
        try:
            yield variable.get()
        finally:
            variable.reset(token)
            log("reset to", variable.get())

    async def main():
        async with scoped() as value:
            pass
        return value, variable.get()

    return main


@program
def cancel_within_a_context_manager(task, log):
    @contextlib.asynccontextmanager
    @task
    async def session():
        try:
            yield
        except asyncio.CancelledError as exc:
            log("cancelled", exc.args)
            raise
        finally:
            log("closed")

    async def body():
        async with session():
            log("inside")
            await asyncio.Event().wait()

    async def main():
        running = asyncio.create_task(body())
        await log.until("inside")
        running.cancel("stop")
        try:
            await running
        except asyncio.CancelledError as exc:
            return exc

    return main


@program
def base_exceptions_within_a_context_manager(task, log):
    @contextlib.asynccontextmanager
    @task
    async def session(name):
        try:
            yield
        finally:
            log("closed", name)

    async def body(exc):
        async with session(type(exc).__name__):
            raise exc

    async def main():
        found = []
        for exc in (KeyboardInterrupt("k"), SystemExit(2), GeneratorExit("g"), StopIteration(1)):
            try:
                await body(exc)
            except BaseException as caught:
                found.append((caught is exc, caught.args))
        return found

    return main


@program
def group_within_a_context_manager(task, log):
    @contextlib.asynccontextmanager
    @task
    async def session():
        try:
            yield
        except* ValueError as group:
            log("handled", len(group.exceptions))

    async def main():
        try:
            async with session():
                raise ExceptionGroup("g", [ValueError(1), KeyError(2)])
        except ExceptionGroup as group:
            return [type(each) for each in group.exceptions]

    return main


@program
def context_manager_used_as_a_decorator(task, log):
    @contextlib.asynccontextmanager
    @task
    async def noted(name):
        log("before", name)
        yield
        log("after", name)

    @noted("a")
    async def f():
        log("f")
        return 1

    async def main():
        return await f(), await f()

    return main


@program
def context_manager_that_does_not_stop(task, log):
    @contextlib.asynccontextmanager
    @task
    async def wrong():
        yield 1
        yield 2

    async def main():
        try:
            async with wrong():
                pass
        except RuntimeError as exc:
            return str(exc)

    return main


@program
def context_manager_that_does_not_yield(task, log):
    @contextlib.asynccontextmanager
    @task
    async def wrong():
        return
        yield

    async def main():
        try:
            async with wrong():
                pass
        except RuntimeError as exc:
            return str(exc)

    return main


@program
def items_gathered(task, log):
    @task
    async def numbers(start):
        while True:
            yield start
            start += 1

    async def main():
        generators = [numbers(0), numbers(10)]
        found = [await asyncio.gather(*map(anext, generators)) for _ in range(3)]
        for generator in generators:
            await generator.aclose()
        return found

    return main


@program
def cancel_before_the_first_item(task, log):
    @task
    async def f():
        log("works")
        try:
            await asyncio.Event().wait()
        finally:
            log("finally")
        yield 1

    async def main():
        generator = f()
        running = asyncio.create_task(anext(generator))
        await log.until("works")
        running.cancel("early")
        try:
            await running
        except asyncio.CancelledError as exc:
            return exc, await anext(generator, "over")

    return main


@program
def generator_shared_by_two_consumers(task, log):
    @task
    async def f():
        for i in range(4):
            yield i

    async def main():
        generator, found = f(), []

        async def take(name):
            found.append((name, await anext(generator)))

        for name in "abab":
            await asyncio.create_task(take(name))
        return found, await anext(generator, "over")

    return main


@program
def generator_started_in_one_task_and_closed_in_another(task, log):
    @task
    async def f():
        try:
            yield 1
            yield 2
        finally:
            log("finally")

    async def main():
        generator = f()

        async def first():
            return await anext(generator)

        async def second():
            await generator.aclose()

        found = await asyncio.create_task(first())
        await asyncio.create_task(second())
        return found

    return main


@program
def statistics_by_asend(task, log):
    @task
    async def running_mean():
        values = []
        while True:
            x = yield sum(values) / len(values) if values else None
            if x is None:
                return
            values.append(x)

    async def main():
        mean = running_mean()
        await anext(mean)
        found = [await mean.asend(x) for x in (1, 2, 6)]
        try:
            await mean.asend(None)
        except StopAsyncIteration:
            return found

    return main


@program
def lock_held_across_yields(task, log):
    @task
    async def f():
        lock = asyncio.Lock()
        async with lock:
            yield lock.locked()
        yield lock.locked()

    async def main():
        return [x async for x in f()]

    return main


@program
def error_between_two_yields_is_handled_there(task, log):
    @task
    async def fails():
        raise ValueError("inner")

    @task
    async def f():
        for i in range(2):
            try:
                await fails()
            except ValueError as exc:
                yield i, str(exc)

    async def main():
        return [x async for x in f()]

    return main


@program
def consumer_that_is_a_task(task, log):
    @task
    async def source(n):
        try:
            for i in range(n):
                yield i
        finally:
            log("source closed")

    @task
    async def first_above(n, limit):
        async with contextlib.aclosing(source(n)) as numbers:
            async for x in numbers:
                if x > limit:
                    return x

    async def main():
        return await first_above(10, 3)

    return main


@program
def traceback_of_a_generator(task, log):
    async def below():
        raise ValueError("below")

    @task
    async def f():
        yield 1
        await below()

    async def consume():
        async for _ in f():
            pass

    async def main():
        try:
            await consume()
        except ValueError as exc:
            return exc

    return main
