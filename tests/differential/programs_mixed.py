"""Larger programs, as people write them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging

from .table import program


@program
def pipeline_of_generators(task, log):
    @task
    async def source(n):
        for i in range(n):
            yield i

    @task
    async def squared(n):
        async with contextlib.aclosing(source(n)) as numbers:
            async for x in numbers:
                yield x * x

    @task
    async def total(n):
        return sum([x async for x in squared(n)])

    async def main():
        return await total(6)

    return main


@program
def retry_decorator(task, log):
    def retrying(times):
        def decorate(function):
            @functools.wraps(function)
            async def wrapper(*args, **kwargs):
                for attempt in range(times):
                    try:
                        return await function(*args, attempt=attempt, **kwargs)
                    except ConnectionError as exc:
                        log("failed", attempt, exc)
                raise TimeoutError("gave up")

            return wrapper

        return decorate

    @retrying(3)
    @task
    async def flaky(limit, *, attempt):
        if attempt < limit:
            raise ConnectionError(f"attempt {attempt}")
        return attempt

    async def main():
        first = await flaky(2)
        try:
            await flaky(5)
        except TimeoutError as exc:
            return first, exc.args

    return main


@program
def crawler(task, log):
    pages = {"/": ["/a", "/b"], "/a": ["/b", "/c"], "/b": [], "/c": ["/"]}

    @task
    async def fetch(page):
        if page not in pages:
            raise LookupError(page)
        return pages[page]

    async def main():
        seen, todo = set(), asyncio.Queue()
        todo.put_nowait("/")
        while not todo.empty():
            page = todo.get_nowait()
            if page in seen:
                continue
            seen.add(page)
            for link in await fetch(page):
                todo.put_nowait(link)
        return sorted(seen)

    return main


@program
def merge_sort(task, log):
    @task
    async def sort(items):
        if len(items) < 2:
            return items
        half = len(items) // 2
        left, right = await asyncio.gather(sort(items[:half]), sort(items[half:]))
        merged = []
        while left and right:
            merged.append((left if left[0] <= right[0] else right).pop(0))
        return merged + left + right

    async def main():
        return await sort([5, 2, 8, 1, 9, 3])

    return main


@program
def transaction(task, log):
    @contextlib.asynccontextmanager
    async def rolled_back_on_error(undo):
        try:
            yield
        except Exception:
            for name in reversed(undo):
                await release(name)
            raise

    @task
    async def reserve(name):
        if name == "bad":
            raise ValueError(f"no {name}")
        log("reserved", name)
        return name

    @task
    async def release(name):
        log("released", name)

    @task
    async def book(names):
        undo = []
        async with rolled_back_on_error(undo):
            for name in names:
                undo.append(await reserve(name))
        return undo

    async def main():
        fine = await book(["a", "b"])
        try:
            await book(["c", "d", "bad"])
        except ValueError as exc:
            return fine, exc

    return main


@program
def first_of_several(task, log):
    @task
    async def server(name):
        log("asked", name)
        if name == "fast":
            await log.until("asked slow")
            return name
        try:
            await asyncio.Event().wait()
        finally:
            log("given up", name)

    async def main():
        slow = asyncio.create_task(server("slow"))
        await log.until("asked slow")
        fast = asyncio.create_task(server("fast"))
        done, pending = await asyncio.wait([slow, fast], return_when=asyncio.FIRST_COMPLETED)
        for each in pending:
            each.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        return [each.result() for each in done]

    return main


@program
def worker_pool_on_a_queue(task, log):
    @task
    async def work(x):
        return x * x

    async def main():
        queue, results = asyncio.Queue(), {}

        async def worker():
            while True:
                x = await queue.get()
                results[x] = await work(x)
                queue.task_done()

        workers = [asyncio.create_task(worker()) for _ in range(3)]
        for x in range(10):
            queue.put_nowait(x)
        await queue.join()
        for each in workers:
            each.cancel()
        ends = await asyncio.gather(*workers, return_exceptions=True)
        return sorted(results.items()), [type(end) for end in ends]

    return main


@program
def cache_of_results(task, log):
    @task
    async def slow(x):
        log("computed", x)
        return x * 10

    async def main():
        cache = {}

        async def cached(x):
            if x not in cache:
                cache[x] = asyncio.ensure_future(slow(x))
            return await cache[x]

        return [await cached(1), await cached(2), await cached(1)]

    return main


@program
def loop_over_everything(task, log):
    @task
    async def f(x):
        log("f", x)
        return x

    async def main():
        total = 0
        for x in range(3):
            for y in range(2):
                if await f(x) == await f(y):
                    continue
                total += await f(x + y)
            else:
                log("inner done", x)
        return total

    return main


@program
def logging_within_a_task(task, log):
    logger = logging.getLogger("differential")

    class Handler(logging.Handler):
        def emit(self, record):
            log(record.levelname, record.getMessage(), bool(record.exc_info))

    logger.propagate = False
    logger.handlers = [Handler()]

    @task
    async def f(x):
        logger.warning("f runs with %s", x)
        try:
            return 1 / x
        except ZeroDivisionError:
            logger.exception("f failed")
            return None

    async def main():
        return await f(1), await f(0)

    return main


@program
def exit_stack_of_sessions(task, log):
    @contextlib.asynccontextmanager
    @task
    async def session(name):
        log("open", name)
        try:
            yield name
        finally:
            log("close", name)

    async def main():
        async with contextlib.AsyncExitStack() as stack:
            names = [await stack.enter_async_context(session(name)) for name in "abc"]
            log("inside")
        return names

    return main


@program
def progress_reported_by_a_generator(task, log):
    @task
    async def job(steps):
        for step in range(steps):
            yield "progress", step
        yield "result", steps * 10

    async def main():
        seen = []
        async for kind, value in job(3):
            if kind == "result":
                return seen, value
            seen.append(value)

    return main


@program
def conversation_by_asend(task, log):
    @task
    async def guess(secret):
        answer = "ready"
        tries = 0
        while answer != "right":
            number = yield answer
            tries += 1
            answer = "right" if number == secret else "higher" if number < secret else "lower"
        yield tries

    async def main():
        game = guess(37)
        low, high, answer = 0, 100, await anext(game)
        while answer != "right" and not isinstance(answer, int):
            middle = (low + high) // 2
            answer = await game.asend(middle)
            if answer == "higher":
                low = middle + 1
            elif answer == "lower":
                high = middle - 1
        return answer

    return main


@program
def group_with_a_timeout_and_a_fallback(task, log):
    @task
    async def fetch(name):
        log("asked", name)
        if name == "dead":
            try:
                await asyncio.Event().wait()
            finally:
                log("given up")
        return f"from {name}"

    async def main():
        running = asyncio.create_task(fetch("dead"))
        await log.until("asked dead")
        try:
            async with asyncio.timeout(0.01):
                return await running
        except TimeoutError:
            async with asyncio.TaskGroup() as group:
                first = group.create_task(fetch("backup"))
            return first.result()

    return main
