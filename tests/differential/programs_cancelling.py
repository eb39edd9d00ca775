"""Programs that cancel."""

from __future__ import annotations

import asyncio
import contextlib

from .table import program


async def outcome_of(running):
    """Return how a cancelled asyncio.Task ended."""
    try:
        return "value", await running
    except BaseException as exc:
        return "raised", exc, running.cancelled()


def cancelled_with(task, log, *message):
    """Return the main of a program that cancels a running call."""

    @task(name=log.program)
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as exc:
            log("cancelled", exc.args)
            raise

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        taken = running.cancel(*message)
        return taken, await outcome_of(running), running.cancelling()

    return main


@program
def cancel_without_message(task, log):
    return cancelled_with(task, log)


@program
def cancel_with_message(task, log):
    return cancelled_with(task, log, "enough is enough")


@program
def cancel_with_empty_message(task, log):
    return cancelled_with(task, log, "")


@program
def cancel_with_message_that_is_no_text(task, log):
    return cancelled_with(task, log, ("a", 1))


@program(raises=asyncio.CancelledError)
def cancel_of_main_by_a_callback(task, log):
    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            log("ended")

    async def main():
        me = asyncio.current_task()

        async def cancel_me():
            await log.until("began")
            me.cancel("from the side")

        side = asyncio.create_task(cancel_me())
        try:
            await f()
        finally:
            await side

    return main


@program
def cancel_before_the_task_starts(task, log):
    @task
    async def f():
        log("never")

    async def main():
        running = asyncio.create_task(f())
        running.cancel("early")
        return await outcome_of(running)

    return main


@program
def cancel_of_a_call_about_to_be_sent(task, log):
    @task
    async def f():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "swallowed"

    async def main():
        me = asyncio.current_task()
        me.cancel("pending")
        try:
            await f()
        except asyncio.CancelledError as exc:
            return exc, me.uncancel()

    return main


@program
def cancel_after_the_end(task, log):
    @task
    async def f():
        return 1

    async def main():
        running = asyncio.create_task(f())
        await asyncio.wait([running])
        return running.cancel("late"), await running

    return main


@program
def cancel_swallowed(task, log):
    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log("swallowed")
        await asyncio.sleep(0)
        return "value"

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel()
        return await outcome_of(running), running.cancelling()

    return main


@program
def cancel_swallowed_and_taken_back(task, log):
    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log("left", asyncio.current_task().uncancel())
        return "value"

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel()
        return await outcome_of(running), running.cancelling()

    return main


@program
def cancel_turned_into_an_error(task, log):
    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as exc:
            raise ValueError("instead") from exc

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel("why")
        return await outcome_of(running)

    return main


@program
def cancel_turned_into_an_error_by_finally(task, log):
    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError("in finally")

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel()
        return await outcome_of(running)

    return main


@program
def cancel_and_a_finally_that_awaits(task, log):
    @task
    async def save(x):
        log("saved", x)
        return x

    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            log("finally", await save("state"))

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel()
        result = await outcome_of(running)
        log("caller goes on")
        return result

    return main


@program
def cancel_twice(task, log):
    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as exc:
            log("first", exc.args)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as exc:
                log("second", exc.args, asyncio.current_task().cancelling())
                raise

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel("one")
        await log.until("first ('one',)")
        running.cancel("two")
        return await outcome_of(running), running.cancelling()

    return main


@program
def cancel_twice_at_once(task, log):
    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as exc:
            log("cancelled", exc.args, asyncio.current_task().cancelling())
            await asyncio.sleep(0)
            raise

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel("one")
        running.cancel("two")
        return await outcome_of(running), running.cancelling()

    return main


@program
def cancel_taken_back_by_the_caller(task, log):
    @task
    async def f():
        log("began")
        await asyncio.Event().wait()

    async def patient():
        me = asyncio.current_task()
        try:
            await f()
        except asyncio.CancelledError:
            log("cancelling", me.cancelling(), "then", me.uncancel())
        return "went on"

    async def main():
        running = asyncio.create_task(patient())
        await log.until("began")
        running.cancel()
        return await outcome_of(running), running.cancelling()

    return main


@program
def cancel_goes_down_three_levels(task, log):
    @task
    async def third():
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as exc:
            log("third", exc.args)
            raise

    @task
    async def second():
        try:
            await third()
        except asyncio.CancelledError as exc:
            log("second", exc.args)
            raise

    @task
    async def first():
        try:
            await second()
        except asyncio.CancelledError as exc:
            log("first", exc.args)
            raise

    async def main():
        running = asyncio.create_task(first())
        await log.until("began")
        running.cancel("all of you")
        return await outcome_of(running)

    return main


@program
def cancel_stopped_half_way(task, log):
    @task
    async def inner():
        log("began")
        await asyncio.Event().wait()

    @task
    async def middle():
        try:
            await inner()
        except asyncio.CancelledError:
            return "middle stopped it"

    @task
    async def outer():
        return await middle()

    async def main():
        running = asyncio.create_task(outer())
        await log.until("began")
        running.cancel()
        return await outcome_of(running)

    return main


@program
def cancel_raised_by_the_callee(task, log):
    @task
    async def f():
        raise asyncio.CancelledError("my own")

    async def main():
        try:
            await f()
        except asyncio.CancelledError as exc:
            return exc, asyncio.current_task().cancelling()

    return main


@program
def cancel_raised_with_odd_arguments(task, log):
    @task
    async def f():
        raise asyncio.CancelledError("two", 2)

    async def main():
        return await outcome_of(asyncio.create_task(f()))

    return main


@program
def cancel_of_the_callee_by_itself(task, log):
    @task
    async def f():
        me = asyncio.current_task()
        me.cancel("I, myself")
        log("still here")
        await asyncio.sleep(0)
        log("never")

    async def main():
        return await outcome_of(asyncio.create_task(f()))

    return main


@program
def cancel_of_an_own_child_by_the_callee(task, log):
    @task
    async def inner():
        log("began")
        await asyncio.Event().wait()

    @task
    async def f():
        child = asyncio.create_task(inner())
        await log.until("began")
        child.cancel("little one")
        try:
            await child
        except asyncio.CancelledError as exc:
            return exc.args, asyncio.current_task().cancelling()

    async def main():
        return await f()

    return main


@program
def cancel_while_finally_runs(task, log):
    @task
    async def f():
        try:
            log("began")
        finally:
            try:
                await asyncio.Event().wait()
            finally:
                log("inner finally")

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel("in finally")
        return await outcome_of(running)

    return main


@program
def cancel_while_an_exception_is_handled(task, log):
    @task
    async def f():
        try:
            raise ValueError("first")
        except ValueError:
            log("began")
            await asyncio.Event().wait()

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel("then this")
        return await outcome_of(running)

    return main


@program
def cancel_suppressed_by_the_caller(task, log):
    @task
    async def f():
        log("began")
        await asyncio.Event().wait()

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        return await task_of_two()

    @task
    async def task_of_two():
        return 2

    return main


@program
def cancel_and_the_exit_stack_of_the_callee(task, log):
    @task
    async def release(name):
        log("released", name)

    @task
    async def f():
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(release, "a")
            stack.callback(log, "released b")
            log("began")
            await asyncio.Event().wait()

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel()
        return await outcome_of(running)

    return main


@program
def cancel_of_one_among_several(task, log):
    @task
    async def f(i):
        log("began", i)
        await log.until("go")
        return i

    async def main():
        tasks = [asyncio.create_task(f(0))]
        await log.until("began 0")
        tasks.append(asyncio.create_task(f(1)))
        await log.until("began 1")
        tasks[0].cancel("you")
        await asyncio.wait(tasks[:1])
        log("go")
        return await asyncio.gather(*tasks, return_exceptions=True)

    return main


@program
def cancel_of_the_waiter_of_two(task, log):
    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            log("ended")

    async def main():
        inner = asyncio.create_task(f())

        async def waits():
            await inner

        waiting = asyncio.create_task(waits())
        await log.until("began")
        waiting.cancel("goes through")
        return await outcome_of(waiting), inner.cancelled()

    return main


@program
def cancel_while_the_callee_awaits_a_call_that_swallows(task, log):
    @task
    async def inner():
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "inner swallowed"

    @task
    async def outer():
        result = await inner()
        log("outer has", result)
        return result, asyncio.current_task().cancelling()

    async def main():
        running = asyncio.create_task(outer())
        await log.until("began")
        running.cancel()
        return await outcome_of(running)

    return main


@program
def cancel_then_await_again(task, log):
    @task
    async def f(x):
        log("f", x)
        if x == 1:
            await asyncio.Event().wait()
        return x

    async def caller():
        try:
            return await f(1)
        except asyncio.CancelledError:
            return await f(2)

    async def main():
        running = asyncio.create_task(caller())
        await log.until("f 1")
        running.cancel()
        return await outcome_of(running)

    return main


@program
def cancel_of_a_sleeping_call(task, log):
    @task
    async def f():
        log("began")
        await asyncio.sleep(1000)

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel()
        return await outcome_of(running)

    return main


@program
def cancel_of_a_call_that_waits_for_a_child(task, log):
    @task
    async def f():
        async def child():
            log("began")
            try:
                await asyncio.Event().wait()
            finally:
                log("child ended")

        await asyncio.create_task(child())

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel("down")
        return await outcome_of(running)

    return main


@program
def cancel_in_the_step_after_the_start(task, log):
    @task
    async def f():
        log("began")
        await asyncio.Event().wait()

    async def main():
        running = asyncio.create_task(f())
        await asyncio.sleep(0)
        running.cancel()
        return await outcome_of(running)

    return main


@program
def cancel_counts_within_the_callee(task, log):
    @task
    async def f():
        me = asyncio.current_task()
        counts = [me.cancelling()]
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            counts.append(me.cancelling())
            counts.append(me.uncancel())
        return counts

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel()
        return await running, running.cancelling()

    return main


@program
def cancel_twice_at_once_and_taken_back_once(task, log):
    @task
    async def f():
        me = asyncio.current_task()
        log("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return me.uncancel()

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel()
        running.cancel()
        return await outcome_of(running), running.cancelling()

    return main


@program
def cancel_of_a_callee_within_its_own_timeout(task, log):
    @task
    async def f():
        try:
            async with asyncio.timeout(10):
                log("began")
                await asyncio.Event().wait()
        except TimeoutError:
            log("never")

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel("from outside")
        return await outcome_of(running)

    return main


@program
def cancel_of_a_callee_within_a_group_that_fails(task, log):
    @task
    async def f():
        async def fails():
            await asyncio.sleep(0)
            raise ValueError("child")

        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            await asyncio.Event().wait()

    async def main():
        return await outcome_of(asyncio.create_task(f()))

    return main


@program
def cancel_of_a_call_whose_error_comes_first(task, log):
    @task
    async def f():
        log("began")
        raise ValueError("first")

    async def main():
        running = asyncio.create_task(f())
        await asyncio.wait([running])
        return running.cancel(), await outcome_of(running)

    return main


@program
def cancel_of_many(task, log):
    @task
    async def f(i):
        log("began")
        await asyncio.Event().wait()

    async def main():
        tasks = [asyncio.create_task(f(i)) for i in range(20)]
        await log.until("began", count=20)
        for i, each in enumerate(tasks):
            each.cancel(f"number {i}")
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        return [end.args for end in ends], [each.cancelled() for each in tasks]

    return main


@program
def cancel_with_clean_up_that_fails_and_is_handled(task, log):
    @task
    async def flush():
        raise OSError("disk full")

    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await flush()
            except OSError as exc:
                log("could not flush:", exc)

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel()
        return await outcome_of(running)

    return main


@program
def cancel_during_the_clean_up_call(task, log):
    @task
    async def flush():
        log("flushing")
        try:
            await asyncio.Event().wait()
        finally:
            log("flush stopped")

    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            await flush()

    async def main():
        running = asyncio.create_task(f())
        await log.until("began")
        running.cancel("first")
        await log.until("flushing")
        running.cancel("second")
        return await outcome_of(running)

    return main


@program
def interrupted_main_cleans_up(task, log):
    @task
    async def f():
        log("began")
        try:
            await asyncio.Event().wait()
        finally:
            log("ended")

    async def body():
        child = asyncio.create_task(f())
        try:
            await log.until("began")
            raise KeyboardInterrupt
        finally:
            child.cancel()
            await asyncio.wait([child])

    async def main():
        try:
            await body()
        except KeyboardInterrupt as exc:
            return type(exc)

    return main


@program
def cancel_of_a_call_that_never_suspends(task, log):
    @task
    async def f():
        return "value"

    async def main():
        running = asyncio.create_task(f())
        await asyncio.sleep(0)
        return running.cancel(), await outcome_of(running)

    return main


@program
def cancel_goes_down_a_deep_tree(task, log):
    @task
    async def down(n):
        if n:
            return await down(n - 1)
        log("began")
        await asyncio.Event().wait()

    async def main():
        running = asyncio.create_task(down(40))
        await log.until("began")
        running.cancel("all the way")
        try:
            await running
        except asyncio.CancelledError as exc:
            return exc.args, running.cancelled()

    return main
