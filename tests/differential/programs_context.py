"""Programs with context variables."""

from __future__ import annotations

import asyncio
import contextvars

from atasks_ng import propagate

from .table import program

user: contextvars.ContextVar = contextvars.ContextVar("differential_user", default="nobody")
trail: contextvars.ContextVar = contextvars.ContextVar("differential_trail")
private: contextvars.ContextVar = contextvars.ContextVar("differential_private", default="unset")

# The other one stays within its process: see the table of differences.
propagate(user, trail)


@program
def seen_by_the_callee(task, log):
    @task
    async def f():
        return user.get()

    async def main():
        before = await f()
        user.set("ada")
        return before, await f()

    return main


@program
def seen_two_levels_down(task, log):
    @task
    async def inner():
        return user.get()

    @task
    async def outer():
        return await inner()

    async def main():
        user.set("ada")
        return await outer()

    return main


@program
def set_by_the_callee(task, log):
    @task
    async def f():
        user.set("set by f")

    async def main():
        await f()
        return user.get()

    return main


@program
def set_by_the_callee_of_the_callee(task, log):
    @task
    async def inner():
        user.set("set by inner")

    @task
    async def outer():
        await inner()
        return user.get()

    async def main():
        return await outer(), user.get()

    return main


@program
def set_by_a_callee_that_fails(task, log):
    @task
    async def f():
        user.set("set before the end")
        raise ValueError("v")

    async def main():
        try:
            await f()
        except ValueError:
            return user.get()

    return main


@program
def set_by_a_callee_that_is_cancelled(task, log):
    @task
    async def f():
        user.set("set before the cancel")
        log("began")
        await asyncio.Event().wait()

    async def caller():
        try:
            await f()
        except asyncio.CancelledError:
            return user.get()

    async def main():
        running = asyncio.create_task(caller())
        await log.until("began")
        running.cancel()
        return await running

    return main


@program
def copied_for_a_task(task, log):
    @task
    async def f(name):
        user.set(name)
        return user.get()

    async def main():
        user.set("main")
        found = await asyncio.create_task(f("child"))
        return found, user.get()

    return main


@program
def copied_at_the_time_of_the_create_task(task, log):
    @task
    async def f():
        return user.get()

    async def main():
        user.set("early")
        running = asyncio.create_task(f())
        user.set("late")
        return await running, user.get()

    return main


@program
def shared_within_a_given_context(task, log):
    @task
    async def f():
        user.set("in the given context")

    async def main():
        context = contextvars.copy_context()
        await asyncio.create_task(f(), context=context)
        return user.get(), context[user]

    return main


@program
def separate_in_gather(task, log):
    @task
    async def f(name):
        user.set(name)
        await asyncio.sleep(0)
        return user.get()

    async def main():
        found = await asyncio.gather(f("a"), f("b"))
        return found, user.get()

    return main


@program
def reset_by_the_caller(task, log):
    @task
    async def f():
        return user.get()

    async def main():
        token = user.set("for a while")
        found = [await f()]
        user.reset(token)
        return [*found, await f(), user.get()]

    return main


@program
def reset_by_the_callee(task, log):
    @task
    async def f():
        token = user.set("inside")
        found = user.get()
        user.reset(token)
        return found

    async def main():
        user.set("outside")
        return await f(), user.get()

    return main


@program
def reset_after_the_callee_set_it(task, log):
    @task
    async def f():
        user.set("set by f")

    async def main():
        token = user.set("outer")
        await f()
        found = user.get()
        user.reset(token)
        return found, user.get()

    return main


@program
def without_a_value(task, log):
    @task
    async def f():
        return trail.get("no trail"), trail in contextvars.copy_context()

    async def main():
        before = await f()
        trail.set(("main",))
        return before, await f()

    return main


@program
def grows_along_the_way(task, log):
    @task
    async def step(n):
        trail.set((*trail.get(), n))
        if n:
            await step(n - 1)

    async def main():
        trail.set(())
        await step(4)
        return trail.get()

    return main


@program
def same_value_set_again(task, log):
    @task
    async def f():
        user.set(user.get())

    async def main():
        user.set("same")
        await f()
        return user.get()

    return main


@program
def set_by_a_background_task_of_the_callee(task, log):
    @task
    async def f():
        async def background():
            user.set("in the background")

        await asyncio.create_task(background())
        return user.get()

    async def main():
        user.set("main")
        return await f(), user.get()

    return main


@program
def seen_by_a_generator(task, log):
    @task
    async def f():
        yield user.get()
        yield user.get()

    async def main():
        user.set("ada")
        return [x async for x in f()]

    return main


@program
def changed_between_items(task, log):
    @task
    async def f():
        while True:
            yield user.get()

    async def main():
        generator = f()
        found = []
        for name in "abc":
            user.set(name)
            found.append(await anext(generator))
        await generator.aclose()
        return found

    return main


@program
def set_by_a_generator(task, log):
    @task
    async def f():
        for name in "ab":
            user.set(name)
            yield name

    async def main():
        return [(x, user.get()) async for x in f()]

    return main


@program
def seen_in_a_thread(task, log):
    @task
    def f():
        return user.get()

    async def main():
        user.set("ada")
        return await f()

    return main


@program
def not_propagated(task, log):
    @task
    async def f():
        return private.get()

    async def main():
        private.set("mine")
        return await f()

    return main


@program
def not_propagated_back(task, log):
    @task
    async def f():
        private.set("of f")

    async def main():
        await f()
        return private.get()

    return main


@program
def decimal_context(task, log):
    import decimal

    @task
    async def third():
        return decimal.Decimal(1) / 3

    async def main():
        with decimal.localcontext() as context:
            context.prec = 5
            return await third()

    return main


@program
def set_and_reset_by_a_generator(task, log):
    @task
    async def f():
        token = trail.set(("in the generator",))
        yield 1
        trail.reset(token)
        yield 2

    async def main():
        found = []
        async for x in f():
            found.append((x, trail.get("unset")))
        return found, trail.get("unset")

    return main


@program
def set_and_reset_by_a_generator_that_is_closed(task, log):
    @task
    async def f():
        token = trail.set(("in the generator",))
        try:
            yield 1
        finally:
            trail.reset(token)

    async def main():
        generator = f()
        await anext(generator)
        before = trail.get("unset")
        await generator.aclose()
        return before, trail.get("unset")

    return main


@program
def set_by_the_consumer_before_it_closes_a_generator(task, log):
    @task
    async def f():
        try:
            yield 1
        finally:
            log(user.get("unset"))

    async def main():
        generator = f()
        await anext(generator)
        user.set("by the consumer")
        await generator.aclose()

    return main


@program
def set_over_a_value_and_reset_by_a_generator(task, log):
    @task
    async def f():
        token = user.set("in the generator")
        yield 1
        user.reset(token)
        yield 2

    async def main():
        user.set("main")
        return [(x, user.get()) async for x in f()], user.get()

    return main


@program
def set_by_the_consumer_between_items(task, log):
    @task
    async def f():
        got = yield user.get()
        yield user.get(), got
        try:
            yield user.get()
        except ValueError:
            yield user.get()

    async def main():
        generator = f()
        found = []
        user.set("first")
        found.append(await anext(generator))
        user.set("second")
        found.append(await generator.asend("sent"))
        user.set("third")
        found.append(await anext(generator))
        user.set("fourth")
        found.append(await generator.athrow(ValueError("x")))
        await generator.aclose()
        return found

    return main


@program
def unset_by_the_consumer_between_items(task, log):
    @task
    async def f():
        while True:
            yield trail.get("unset")

    async def main():
        generator = f()
        found = [await anext(generator)]
        token = trail.set(("for a while",))
        found.append(await anext(generator))
        trail.reset(token)
        found.append(await anext(generator))
        await generator.aclose()
        return found

    return main
