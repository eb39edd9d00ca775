"""Programs that run several calls at once: gather, wait, as_completed, wait_for, shield, locks."""

from __future__ import annotations

import asyncio
import functools

from .table import program


@program(concurrent=True)
def gather_keeps_order(task, log):
    @task
    async def f(i):
        log(f"{i}: ran")
        return i * 10

    async def main():
        return await asyncio.gather(*map(f, range(8)))

    return main


@program
def gather_of_nothing(task, log):
    async def main():
        return await asyncio.gather()

    return main


@program
def gather_of_one_coroutine_twice(task, log):
    @task
    async def f():
        log("ran")
        return 1

    async def main():
        coroutine = f()
        return await asyncio.gather(coroutine, coroutine)

    return main


@program
def gather_returns_exceptions(task, log):
    @task
    async def f(i):
        if i % 2:
            raise ValueError("odd", i)
        return i

    async def main():
        return await asyncio.gather(*map(f, range(4)), return_exceptions=True)

    return main


@program
def gather_raises_and_the_others_go_on(task, log):
    @task
    async def fails():
        await log.until("slow began")
        raise KeyError("first")

    @task
    async def slow():
        log("slow began")
        await log.until("caught")
        log("slow ended")

    async def main():
        try:
            await asyncio.gather(fails(), slow())
        except KeyError as exc:
            log("caught")
            await log.until("slow ended")
            return exc

    return main


@program
def gather_in_gather(task, log):
    @task
    async def leaf(x):
        return x

    @task
    async def branch(x):
        return await asyncio.gather(*[leaf(x * 10 + i) for i in range(3)])

    async def main():
        return await asyncio.gather(*map(branch, range(3)))

    return main


@program(concurrent=True)
def gather_cancelled(task, log):
    @task
    async def f(i):
        log(f"{i}: began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as exc:
            log(f"{i}: cancelled {exc.args}")
            raise

    async def main():
        everything = asyncio.gather(f(1), f(2))
        await log.until("1: began")
        await log.until("2: began")
        everything.cancel("enough")
        try:
            await everything
        except asyncio.CancelledError as exc:
            return exc

    return main


@program(concurrent=True)
def gather_cancelled_with_return_exceptions(task, log):
    @task
    async def f(i):
        log(f"{i}: began")
        try:
            await asyncio.Event().wait()
        finally:
            log(f"{i}: ended")

    async def outer():
        return await asyncio.gather(f(1), f(2), return_exceptions=True)

    async def main():
        running = asyncio.create_task(outer())
        await log.until("1: began")
        await log.until("2: began")
        running.cancel()
        try:
            await running
        except asyncio.CancelledError as exc:
            return exc, running.cancelled()

    return main


@program
def gather_with_one_child_cancelled(task, log):
    @task
    async def waits():
        log("began")
        await asyncio.Event().wait()

    @task
    async def f():
        return "value"

    async def main():
        child = asyncio.create_task(waits())
        everything = asyncio.gather(child, f(), return_exceptions=True)
        await log.until("began")
        child.cancel("only you")
        return await everything

    return main


@program
def gather_of_tasks_and_other_awaitables(task, log):
    @task
    async def f(x):
        return x

    async def local(x):
        return x

    async def main():
        future = asyncio.get_running_loop().create_future()
        future.set_result("future")
        return await asyncio.gather(f("task"), local("coroutine"), future, asyncio.sleep(0, "s"))

    return main


@program
def gather_inside_a_task_fails(task, log):
    @task
    async def fails(x):
        raise LookupError(x)

    @task
    async def f():
        return await asyncio.gather(fails("x"), return_exceptions=False)

    async def main():
        try:
            await f()
        except LookupError as exc:
            return exc

    return main


# -- wait, as_completed ------------------------------------------------------------------------


@program
def wait_for_all(task, log):
    @task
    async def f(x):
        return x

    async def main():
        tasks = [asyncio.create_task(f(i)) for i in range(4)]
        done, pending = await asyncio.wait(tasks)
        return sorted(each.result() for each in done), len(pending)

    return main


@program
def wait_for_the_first(task, log):
    @task
    async def f(x):
        await log.until("go", x)
        return x

    async def main():
        tasks = {asyncio.create_task(f(i), name=str(i)) for i in range(3)}
        order = []
        for i in (1, 0, 2):
            log("go", i)
            done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            order.append([each.result() for each in done])
        return order, len(tasks)

    return main


@program
def wait_for_the_first_exception(task, log):
    @task
    async def fails():
        raise OSError("no")

    @task
    async def waits():
        log("began")
        await asyncio.Event().wait()

    async def main():
        waiting = asyncio.create_task(waits())
        await log.until("began")
        failing = asyncio.create_task(fails())
        done, pending = await asyncio.wait([waiting, failing], return_when=asyncio.FIRST_EXCEPTION)
        waiting.cancel()
        await asyncio.wait([waiting])
        return done == {failing}, pending == {waiting}, failing.exception(), waiting.cancelled()

    return main


@program
def wait_with_a_timeout(task, log):
    @task
    async def waits():
        log("began")
        await log.until("go")
        return "value"

    async def main():
        waiting = asyncio.create_task(waits())
        await log.until("began")
        done, pending = await asyncio.wait([waiting], timeout=0.01)
        log("go")
        return len(done), len(pending), await waiting

    return main


@program
def as_completed_yields_the_first_first(task, log):
    @task
    async def f(x):
        await log.until("go", x)
        return x

    async def main():
        order = []
        log("go", 2)
        for number, each in enumerate(asyncio.as_completed([f(0), f(1), f(2)])):
            order.append(await each)
            log("go", number)
        return order[0], sorted(order)

    return main


@program
def as_completed_with_a_timeout(task, log):
    @task
    async def waits():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            log("ended")

    async def main():
        waiting = asyncio.create_task(waits())
        await log.until("began")
        caught = []
        for each in asyncio.as_completed([waiting], timeout=0.01):
            try:
                await each
            except TimeoutError:
                caught.append("too late")
        waiting.cancel()
        await asyncio.wait([waiting])
        return caught

    return main


# -- wait_for ----------------------------------------------------------------------------------


@program
def wait_for_in_time(task, log):
    @task
    async def f(x):
        return x

    async def main():
        return [await asyncio.wait_for(f(1), 10), await asyncio.wait_for(f(2), None)]

    return main


@program
def wait_for_too_late(task, log):
    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as exc:
            log("cancelled", exc.args)
            raise
        finally:
            await asyncio.sleep(0)
            log("cleaned up")

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        try:
            await asyncio.wait_for(running, 0.01)
        except TimeoutError as exc:
            log("timed out")
            return exc, running.cancelled()

    return main


@program
def wait_for_of_a_call_that_swallows(task, log):
    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "in spite of it"

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        return await asyncio.wait_for(running, 0.01)

    return main


@program
def wait_for_of_a_call_that_fails_when_cancelled(task, log):
    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("while I was cancelled")  # noqa: B904

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        try:
            await asyncio.wait_for(running, 0.01)
        except ValueError as exc:
            return exc

    return main


@program
def wait_for_of_a_call_that_fails(task, log):
    @task
    async def f():
        raise ValueError("at once")

    async def main():
        try:
            await asyncio.wait_for(f(), 10)
        except ValueError as exc:
            return exc

    return main


@program
def wait_for_cancelled_from_outside(task, log):
    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            log("ended")

    async def main():
        running = asyncio.create_task(asyncio.wait_for(f(), 10))
        await log.until("began")
        running.cancel("from outside")
        try:
            await running
        except asyncio.CancelledError as exc:
            return exc

    return main


@program
def wait_for_within_a_task(task, log):
    @task
    async def slow():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            log("ended")

    @task
    async def f():
        running = asyncio.create_task(slow())
        await log.until("began")
        try:
            await asyncio.wait_for(running, 0.01)
        except TimeoutError:
            return "late"

    async def main():
        return await f()

    return main


# -- shield ------------------------------------------------------------------------------------


@program
def shield_lets_the_call_go_on(task, log):
    @task
    async def f():
        log("began")
        await log.until("outer is gone")
        log("ended")
        return "value"

    async def main():
        inner = asyncio.create_task(f())

        async def outer():
            await asyncio.shield(inner)

        running = asyncio.create_task(outer())
        await log.until("began")
        running.cancel("outer only")
        try:
            await running
        except asyncio.CancelledError as exc:
            caught = exc
        log("outer is gone")
        return caught, await inner

    return main


@program
def shield_passes_results_and_errors(task, log):
    @task
    async def f(x):
        if x:
            raise ValueError(x)
        return "fine"

    async def main():
        first = await asyncio.shield(f(0))
        try:
            await asyncio.shield(f(1))
        except ValueError as exc:
            return first, exc

    return main


@program
def shield_within_a_task(task, log):
    @task
    async def inner():
        log("began")
        await log.until("f is cancelled")
        log("inner ended")

    @task
    async def f():
        kept = asyncio.create_task(inner())
        try:
            await asyncio.shield(kept)
        except asyncio.CancelledError:
            log("f is cancelled")
            await kept
            raise

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel()
        try:
            await running
        except asyncio.CancelledError as exc:
            return exc

    return main


@program
def shield_with_wait_for(task, log):
    @task
    async def f():
        log("began")
        await log.until("go")
        return "later"

    async def main():
        inner = asyncio.create_task(f())
        await log.until("began")
        try:
            await asyncio.wait_for(asyncio.shield(inner), 0.01)
        except TimeoutError:
            log("go")
        return await inner

    return main


# -- around calls ------------------------------------------------------------------------------


@program
def queue_between_callers(task, log):
    @task
    async def double(x):
        return 2 * x

    async def main():
        queue, found = asyncio.Queue(2), []

        async def produce():
            for x in range(5):
                await queue.put(await double(x))
            await queue.put(None)

        async def consume():
            while (item := await queue.get()) is not None:
                found.append(await double(item))

        await asyncio.gather(produce(), consume())
        return found

    return main


@program
def semaphore_around_calls(task, log):
    @task
    async def f(x):
        await asyncio.sleep(0)
        return x

    async def main():
        semaphore, inside, most = asyncio.Semaphore(2), 0, 0

        async def one(x):
            nonlocal inside, most
            async with semaphore:
                inside += 1
                most = max(most, inside)
                result = await f(x)
                inside -= 1
                return result

        return await asyncio.gather(*map(one, range(6))), most

    return main


@program
def lock_around_calls(task, log):
    @task
    async def f(x):
        log("f", x)

    async def main():
        lock = asyncio.Lock()

        async def one(x):
            async with lock:
                log("enter", x)
                await f(x)
                log("leave", x)

        await asyncio.gather(*map(one, range(3)))

    return main


@program
def event_set_by_a_callback(task, log):
    @task
    async def f(x):
        return x

    async def main():
        event, found = asyncio.Event(), []
        running = asyncio.create_task(f("done"))
        running.add_done_callback(lambda done: (found.append(done.result()), event.set()))
        await event.wait()
        return found

    return main


@program
def condition_and_barrier(task, log):
    @task
    async def f(x):
        return x

    async def main():
        condition, barrier, values = asyncio.Condition(), asyncio.Barrier(2), []

        async def give():
            value = await f(1)
            async with condition:
                values.append(value)
                condition.notify()
            await barrier.wait()

        async def take():
            async with condition:
                await condition.wait_for(lambda: values)
            await barrier.wait()
            return await f(values.pop())

        return (await asyncio.gather(give(), take()))[1]

    return main


@program
def locks_within_a_task(task, log):
    @task
    async def f(n):
        lock, queue, order = asyncio.Lock(), asyncio.Queue(), []

        async def worker(i):
            async with lock:
                order.append(await queue.get() + i)

        for i in range(n):
            queue.put_nowait(i * 10)
        await asyncio.gather(*map(worker, range(n)))
        return order

    async def main():
        return await f(4)

    return main


@program
def run_coroutine_threadsafe(task, log):
    @task
    async def f(x):
        return x + 1

    async def main():
        loop = asyncio.get_running_loop()

        def in_thread():
            return asyncio.run_coroutine_threadsafe(f(1), loop).result(10)

        return await asyncio.to_thread(in_thread)

    return main


@program
def map_reduce(task, log):
    @task
    async def count(words):
        return {word: words.count(word) for word in sorted(set(words))}

    @task
    async def merge(a, b):
        return {word: a.get(word, 0) + b.get(word, 0) for word in sorted({*a, *b})}

    async def main():
        lines = ["a b a", "c a", "b b c", "d"]
        counts = await asyncio.gather(*[count(line.split()) for line in lines])
        while len(counts) > 1:
            counts = [await merge(*counts[:2]), *counts[2:]]
        return counts[0]

    return main


@program
def reduce_with_partials(task, log):
    @task
    async def add(a, b):
        return a + b

    async def main():
        total = 0
        for step in [functools.partial(add, i) for i in range(5)]:
            total = await step(total)
        return total

    return main


@program
def interleaving_of_calls_that_do_not_suspend(task, log):
    @task
    async def f():
        pass

    async def one(name):
        log(name, "before")
        await f()
        log(name, "after")

    async def main():
        await asyncio.gather(one("a"), one("b"))

    return main
