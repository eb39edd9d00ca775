"""Programs with asyncio.TaskGroup."""

from __future__ import annotations

import asyncio

from .table import program


@program
def group_of_successes(task, log):
    @task
    async def f(x):
        return x * x

    async def main():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(f(x)) for x in range(5)]
        return [each.result() for each in tasks]

    return main


@program
def group_with_a_failure(task, log):
    @task
    async def waits():
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as exc:
            log("cancelled", exc.args)
            raise

    @task
    async def fails():
        await log.until("began")
        raise ValueError("no")

    async def main():
        try:
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(waits())
                failing = group.create_task(fails())
        except* ValueError as errors:
            caught = errors
        return caught, waiting.cancelled(), failing.exception()

    return main


@program(raises=ExceptionGroup)
def group_failure_raised(task, log):
    @task
    async def fails(x):
        raise ValueError("no", x)

    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(fails(1))

    return main


@program
def group_with_two_failures(task, log):
    @task
    async def fails_when_cancelled():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError("second")

    @task
    async def fails():
        await log.until("began")
        raise ValueError("first")

    async def main():
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fails_when_cancelled())
                group.create_task(fails())
        except ExceptionGroup as errors:
            return errors

    return main


@program
def group_with_a_failing_body(task, log):
    @task
    async def waits():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            log("ended")

    async def main():
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(waits())
                await log.until("began")
                raise RuntimeError("of the body")
        except* RuntimeError as errors:
            caught = errors
        return caught

    return main


@program
def group_whose_body_awaits_when_a_child_fails(task, log):
    @task
    async def fails():
        await log.until("body began")
        raise ValueError("child")

    @task
    async def waits():
        log("body began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log("body cancelled")
            raise

    async def main():
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fails())
                await waits()
        except* ValueError as errors:
            caught = errors
        return caught, asyncio.current_task().cancelling()

    return main


@program(concurrent=True)
def groups_nested(task, log):
    @task
    async def waits(name):
        log(f"{name}: began")
        try:
            await asyncio.Event().wait()
        finally:
            log(f"{name}: ended")

    @task
    async def fails():
        await log.until("inner: began")
        await log.until("outer: began")
        raise OSError(5, "deep")

    async def main():
        try:
            async with asyncio.TaskGroup() as outer:
                outer.create_task(waits("outer"))
                async with asyncio.TaskGroup() as inner:
                    inner.create_task(waits("inner"))
                    inner.create_task(fails())
        except* OSError as errors:
            caught = errors
        return caught

    return main


@program
def group_cancelled_from_outside(task, log):
    @task
    async def waits():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            log("ended")

    async def grouped():
        async with asyncio.TaskGroup() as group:
            group.create_task(waits())

    async def main():
        running = asyncio.create_task(grouped())
        await log.until("began")
        running.cancel("outside")
        try:
            await running
        except asyncio.CancelledError as exc:
            return exc, running.cancelled()

    return main


@program
def group_cancelled_while_it_fails(task, log):
    @task
    async def slow_to_end():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            log("ending")
            await log.until("outer cancelled")

    @task
    async def fails():
        await log.until("began")
        raise ValueError("first")

    async def grouped():
        async with asyncio.TaskGroup() as group:
            group.create_task(slow_to_end())
            group.create_task(fails())

    async def main():
        running = asyncio.create_task(grouped())
        await log.until("ending")
        running.cancel()
        log("outer cancelled")
        try:
            await running
        except BaseExceptionGroup as errors:
            return errors
        except asyncio.CancelledError as exc:
            return exc

    return main


@program
def group_child_that_cancels_itself(task, log):
    @task
    async def cancelled():
        raise asyncio.CancelledError("by myself")

    @task
    async def f():
        return "fine"

    async def main():
        async with asyncio.TaskGroup() as group:
            first = group.create_task(cancelled())
            second = group.create_task(f())
        return first.cancelled(), second.result()

    return main


@program
def group_child_cancelled_by_the_body(task, log):
    @task
    async def waits():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            log("ended")

    async def main():
        async with asyncio.TaskGroup() as group:
            child = group.create_task(waits())
            await log.until("began")
            child.cancel()
        return child.cancelled()

    return main


@program
def group_that_grows(task, log):
    @task
    async def f(x):
        return x

    async def main():
        found = []

        async def grow(group, x):
            found.append(await f(x))
            if x:
                group.create_task(grow(group, x - 1))

        async with asyncio.TaskGroup() as group:
            group.create_task(grow(group, 3))
        return found

    return main


@program
def group_within_a_task(task, log):
    @task
    async def leaf(x):
        if x > 1:
            raise ValueError(x)
        return x

    @task
    async def f(n):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(leaf(x)) for x in range(n)]
        return [each.result() for each in tasks]

    async def main():
        fine = await f(2)
        try:
            await f(3)
        except* ValueError as errors:
            caught = errors
        return fine, caught

    return main


@program
def group_within_a_task_is_cancelled(task, log):
    @task
    async def leaf():
        log("leaf began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log("leaf cancelled")
            raise

    @task
    async def f():
        async with asyncio.TaskGroup() as group:
            group.create_task(leaf())

    async def main():
        running = asyncio.create_task(f())
        await log.until("leaf began")
        running.cancel("now")
        try:
            await running
        except asyncio.CancelledError as exc:
            return exc, running.cancelled()

    return main


@program
def group_of_groups_across_calls(task, log):
    @task
    async def leaf(x):
        raise (ValueError, KeyError)[x % 2](x)

    @task
    async def branch(x):
        async with asyncio.TaskGroup() as group:
            group.create_task(leaf(x))

    async def main():
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(branch(0))
        except* ValueError as errors:
            caught = errors
        return caught

    return main


@program
def group_and_a_task_that_swallows(task, log):
    @task
    async def swallows():
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "swallowed"

    @task
    async def fails():
        await log.until("began")
        raise ValueError("no")

    async def main():
        try:
            async with asyncio.TaskGroup() as group:
                swallowing = group.create_task(swallows())
                group.create_task(fails())
        except* ValueError:
            pass
        return swallowing.result()

    return main


@program
def group_raises_keyboard_interrupt(task, log):
    @task
    async def waits():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            log("ended")

    @task
    async def interrupts():
        await log.until("began")
        raise KeyboardInterrupt("^C")

    async def child():
        try:
            await interrupts()
        except KeyboardInterrupt as exc:
            return exc

    async def main():
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(waits())
            caught = group.create_task(child())
            await asyncio.wait([caught])
            waiting.cancel()
        return caught.result()

    return main
