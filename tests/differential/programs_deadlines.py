"""Programs with asyncio.timeout, its relatives, and atasks_ng.timeout, which needs no task."""

from __future__ import annotations

import asyncio

import atasks_ng

from .table import program

# 10 ms: each program makes sure that the call has begun before it lets the time run.
SHORT = 0.01


@program
def timeout_in_time(task, log):
    @task
    async def f(x):
        return x

    async def main():
        async with asyncio.timeout(10) as scope:
            result = await f(1)
        return result, scope.expired()

    return main


def expiring(task, log, timeout):
    """Return the main of a program whose call begins and then outlasts a timeout."""

    @task(name=log.program)
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as exc:
            log("cancelled", exc.args)
            raise
        finally:
            log("ended")

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        try:
            async with timeout() as scope:
                await running
        except TimeoutError as exc:
            log("timed out")
            return exc, scope.expired(), asyncio.current_task().cancelling()

    return main


@program
def timeout_expires(task, log):
    return expiring(task, log, lambda: asyncio.timeout(SHORT))


@program
def timeout_at_expires(task, log):
    return expiring(
        task, log, lambda: asyncio.timeout_at(asyncio.get_running_loop().time() + SHORT)
    )


@program
def travelling_timeout_expires(task, log):
    return expiring(task, log, lambda: atasks_ng.timeout(SHORT))


def expiring_around_a_plain_await(task, log, timeout):
    """Return the main of a program that waits within the timeout for the call to begin."""

    @task(name=log.program)
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            log("ended")

    async def main():
        try:
            async with timeout(None) as scope:

                async def shorten():
                    await log.until("began")
                    scope.reschedule(asyncio.get_running_loop().time() + SHORT)

                shortening = asyncio.create_task(shorten())
                await f()
        except TimeoutError as exc:
            return exc, await shortening

    return main


@program
def timeout_around_a_plain_await(task, log):
    return expiring_around_a_plain_await(task, log, asyncio.timeout)


@program
def timeout_rescheduled_to_never(task, log):
    @task
    async def f():
        log("began")
        await log.until("go")
        return "value"

    async def main():
        async with asyncio.timeout(10) as scope:
            scope.reschedule(None)
            running = asyncio.create_task(f())
            await log.until("began")
            log("go")
            return await running, scope.when()

    return main


@program
def timeout_already_over(task, log):
    @task
    async def f():
        log("began")
        await asyncio.Event().wait()

    async def main():
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() - 1):
                await f()
        except TimeoutError as exc:
            return exc

    return main


@program
def travelling_timeout_already_over(task, log):
    @task
    async def f():
        await asyncio.Event().wait()

    async def main():
        try:
            async with atasks_ng.timeout(-1):
                await f()
        except TimeoutError as exc:
            return str(exc)

    return main


def nested(task, log, outer, inner):
    """Return the main of a program with two timeouts around one call."""

    @task(name=log.program)
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            log("ended")

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        caught = []
        try:
            async with asyncio.timeout(outer) as first:
                try:
                    async with asyncio.timeout(inner) as second:
                        await running
                except TimeoutError:
                    caught.append("inner")
        except TimeoutError:
            caught.append("outer")
        return caught, first.expired(), second.expired()

    return main


@program
def nested_timeouts_inner_first(task, log):
    return nested(task, log, 10, SHORT)


@program
def nested_timeouts_outer_first(task, log):
    return nested(task, log, SHORT, 10)


@program
def timeout_swallowed_by_the_callee(task, log):
    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "swallowed"

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        try:
            async with asyncio.timeout(SHORT) as scope:
                result = await running
                log("got", result)
        except TimeoutError:
            return "timed out", scope.expired()
        return result, scope.expired()

    return main


@program
def timeout_and_a_callee_that_fails(task, log):
    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("in the clean-up") from None

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        try:
            async with asyncio.timeout(SHORT):
                await running
        except ValueError as exc:
            return exc

    return main


@program
def timeout_error_of_the_callee(task, log):
    @task
    async def f():
        raise TimeoutError("mine")

    async def main():
        try:
            async with asyncio.timeout(10) as scope:
                await f()
        except TimeoutError as exc:
            return exc, scope.expired()

    return main


@program
def timeout_within_the_callee(task, log):
    @task
    async def f():
        async with asyncio.timeout(SHORT):
            await asyncio.Event().wait()

    async def main():
        try:
            await f()
        except TimeoutError as exc:
            return exc

    return main


@program
def timeout_caught_within_the_callee(task, log):
    @task
    async def slow():
        log("slow began")
        try:
            await asyncio.Event().wait()
        finally:
            log("slow ended")

    @task
    async def f():
        running = asyncio.create_task(slow())
        await log.until("slow began")
        try:
            async with asyncio.timeout(SHORT):
                await running
        except TimeoutError:
            return "timed out", asyncio.current_task().cancelling()

    async def main():
        return await f()

    return main


@program(concurrent=True)
def timeout_reaches_the_whole_tree(task, log):
    @task
    async def leaf(name):
        log(f"{name}: began")
        try:
            await asyncio.Event().wait()
        finally:
            log(f"{name}: ended")

    @task
    async def branch():
        await asyncio.gather(leaf("a"), leaf("b"))

    async def main():
        running = asyncio.create_task(branch())
        await log.until("a: began")
        await log.until("b: began")
        try:
            async with asyncio.timeout(SHORT):
                await running
        except TimeoutError:
            return "timed out"

    return main


@program
def timeout_around_a_group(task, log):
    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            log("ended")

    async def main():
        try:
            async with asyncio.timeout(None) as scope, asyncio.TaskGroup() as group:
                group.create_task(f())
                await log.until("began")
                scope.reschedule(asyncio.get_running_loop().time())
        except TimeoutError as exc:
            return exc

    return main


@program
def timeouts_in_a_row(task, log):
    @task
    async def f(x):
        return x

    async def main():
        found = []
        for i in range(5):
            async with asyncio.timeout(10):
                found.append(await f(i))
        return found, asyncio.current_task().cancelling()

    return main


@program
def timeout_after_the_result(task, log):
    @task
    async def f():
        return "value"

    async def main():
        try:
            async with asyncio.timeout(None) as scope:
                result = await f()
                scope.reschedule(asyncio.get_running_loop().time() + SHORT)
                await asyncio.Event().wait()
        except TimeoutError:
            return result

    return main
