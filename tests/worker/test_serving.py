"""``serve`` on loopback: performing, and failing to."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from atasks_ng import atask, connect, current_call, errors, serve
from atasks_ng.router import Router, get_router
from atasks_ng.transport import get_transport, urls
from atasks_ng.transport.backends.loopback import LoopbackTransport

if TYPE_CHECKING:
    from .conftest import Body

LOOPBACK = "loopback://"


@pytest.fixture
def scheme() -> Iterator[str]:
    """A transport that is not loopback by its URL, and connects only where it likes."""

    class Choosy(LoopbackTransport):
        async def connect(self) -> None:
            if self.namespace.endswith("refused"):
                raise errors.ConnectionLostError("nobody answers there")
            await super().connect()

    urls.register_scheme("choosy", Choosy)
    yield "choosy://"
    del urls._registered["choosy"]


# -- performing --------------------------------------------------------------------------------


async def test_worker_performs_what_its_process_calls(namespace: str, body: Body) -> None:
    body.go.set()

    async with serve(LOOPBACK, namespace=namespace) as worker:
        values = await asyncio.gather(*map(body.call, range(5)))

    assert values == [0, 1, 4, 9, 16]
    assert worker.performed == 5
    assert worker.handed_back == 0


async def test_worker_runs_no_more_calls_at_once_than_it_was_told(
    namespace: str, body: Body
) -> None:
    async with serve(LOOPBACK, namespace=namespace, concurrency=2) as worker:
        calls = [asyncio.create_task(body.call(n)) for n in range(6)]
        await body.until_started(2)
        assert worker.running >= 2
        body.go.set()
        await asyncio.gather(*calls)

    assert body.most == 2


async def test_worker_serves_its_queues_only(namespace: str) -> None:
    async def where() -> str:
        call = current_call()
        assert call is not None
        return call.queue

    task = atask(where, name="where", namespace=namespace)
    async with serve(LOOPBACK, namespace=namespace, queues=["gpu", "cpu"]):
        assert await task.options(queue="gpu")() == "gpu"
        assert await task.options(queue="cpu")() == "cpu"
        with pytest.raises(TimeoutError):
            await task.options(timeout=0.05)()


async def test_one_worker_serves_several_namespaces(namespace: str, make_body: type[Body]) -> None:
    names = [f"{namespace}-a", f"{namespace}-b"]
    tasks = [make_body(name).call for name in names]

    async with serve(LOOPBACK, namespace=names) as worker:
        calls = [asyncio.create_task(task(1)) for task in tasks]
        await make_body.until(lambda: worker.running == 2)
        worker.close(grace=0)
        await asyncio.wait(calls)

    assert worker.namespaces == tuple(names)
    assert worker.handed_back == 2


async def test_several_workers_serve_namespaces_of_their_own(
    namespace: str, make_body: type[Body]
) -> None:
    bodies = [make_body(f"{namespace}-{n}") for n in range(3)]

    async def work(n: int, stop: asyncio.Event) -> int:
        async with serve(LOOPBACK, namespace=f"{namespace}-{n}", concurrency=n + 1) as worker:
            await stop.wait()
            worker.close()
            await worker.wait_closed()
            return worker.performed

    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(work(n, stop)) for n in range(3)]
        calls = []
        for n, each in enumerate(bodies):
            await each.until(lambda each=each: get_router(each.namespace).is_performing)
            calls += [group.create_task(each.call(1)) for _ in range(n + 2)]
            await each.until_started(n + 1)
            each.go.set()
        await asyncio.gather(*calls)
        stop.set()

    assert [each.most for each in bodies] == [1, 2, 3]
    assert [worker.result() for worker in workers] == [2, 3, 4]


async def test_name_is_what_tasks_see(namespace: str) -> None:
    async def worker_name() -> str:
        call = current_call()
        assert call is not None
        return call.worker

    task = atask(worker_name, name="name", namespace=namespace)
    async with serve(LOOPBACK, namespace=namespace, name="left") as worker:
        assert await task() == "left"
        assert worker.name == "left"


async def test_connecting_within_a_worker_leaves_its_slots(namespace: str, body: Body) -> None:
    async with (
        serve(LOOPBACK, namespace=namespace, concurrency=1),
        connect(LOOPBACK, namespace=namespace),
    ):
        calls = [asyncio.create_task(body.call(n)) for n in range(3)]
        await body.until_started(1)
        body.go.set()
        await asyncio.gather(*calls)

    assert body.most == 1


async def test_connection_around_a_worker_goes_on_after_it(namespace: str) -> None:
    async with connect(LOOPBACK, namespace=namespace):
        outer = get_transport(namespace)

        async with serve(LOOPBACK, namespace=namespace):
            assert get_transport(namespace) is not outer

        assert get_transport(namespace) is outer


async def test_repr_tells_role_place_state_and_counts(namespace: str, body: Body) -> None:
    worker = serve("loopback://", namespace=namespace, name="left")
    assert repr(worker) == (
        f"<Worker 'left' of '{namespace}' at loopback://, new: 0 calls running, 0 performed>"
    )

    async with worker:
        call = asyncio.create_task(body.call(1))
        await body.until_started(1)
        assert repr(worker).endswith("open: 1 calls running, 0 performed>")
        worker.close()
        assert "stopping" in repr(worker)
        body.go.set()
        await asyncio.wait([call])

    assert repr(worker).endswith("closed: 0 calls running, 1 performed>")


def test_repr_and_url_show_no_password() -> None:
    worker = serve("amqp://me:secret@broker/")

    assert worker.url == "amqp://me:***@broker/"
    assert "secret" not in repr(worker)


async def fail() -> None:
    raise LookupError("on purpose")


async def files_told(task: Any) -> list[str]:
    """Return the places that the traceback of a failed call names, the worker's first."""
    with pytest.raises(LookupError) as caught:
        await task()
    files = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
    return files[next(n for n, file in enumerate(files) if file.startswith("<worker ")) :]


@pytest.mark.parametrize(
    ("how", "files"),
    [
        ("full", ["<worker left>", __file__]),
        ("names", ["<worker left>", "<worker left>"]),
        ("off", ["<worker left, which does not tell where>"]),
    ],
)
async def test_worker_tells_of_failures_what_it_was_told(
    namespace: str, how: str, files: list[str]
) -> None:
    task = atask(fail, name="fail", namespace=namespace)

    async with serve(LOOPBACK, namespace=namespace, name="left", tracebacks=how):
        assert await files_told(task) == files


@pytest.mark.parametrize("role", [serve, connect])
async def test_worker_that_was_told_nothing_tells_what_its_router_does(
    namespace: str, role: Any
) -> None:
    task = atask(fail, name="fail", namespace=namespace)
    Router(namespace, name="left", tracebacks="off")

    async with role(LOOPBACK, namespace=namespace):
        assert await files_told(task) == ["<worker left, which does not tell where>"]


# -- failing -----------------------------------------------------------------------------------


async def test_failure_in_one_namespace_closes_the_others(namespace: str, scheme: str) -> None:
    worker = serve(scheme, namespace=[namespace, f"{namespace}-refused"])

    with pytest.raises(errors.ConnectionLostError, match="nobody answers"):
        await worker.open()

    assert not get_router(namespace).is_performing
    assert get_transport(namespace) is None
    assert get_transport(f"{namespace}-refused") is None


async def test_worker_that_could_not_open_can_try_again(namespace: str, scheme: str) -> None:
    answers = []

    class Late(LoopbackTransport):
        async def connect(self) -> None:
            if not answers:
                raise errors.ConnectionLostError("not yet")
            await super().connect()

    urls.register_scheme("choosy", Late)
    worker = serve(scheme, namespace=namespace)
    with pytest.raises(errors.ConnectionLostError):
        await worker.open()

    answers.append(True)

    async with worker:
        assert get_router(namespace).is_performing


async def test_second_worker_for_a_namespace_is_refused(namespace: str, scheme: str) -> None:
    async with serve(scheme, namespace=namespace):
        with pytest.raises(errors.UsageError, match=r"serves namespace .* already"):
            await serve(scheme, namespace=namespace).open()

        assert get_router(namespace).is_performing


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"concurrency": 1.5},
        {"threads": 0},
        {"threads": True},
        {"queues": ()},
        {"queues": "no spaces"},
        {"namespace": ()},
        {"namespace": "no/slashes"},
        {"grace": -1},
        {"grace": "soon"},
        {"tracebacks": "none"},
        {"tracebacks": True},
    ],
)
def test_option_out_of_range_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(errors.OptionError):
        serve(LOOPBACK, **options)


async def test_option_that_the_transport_lacks_is_refused(namespace: str) -> None:
    with pytest.raises(TypeError, match="colour"):
        await serve(LOOPBACK, namespace=namespace, colour="red").open()


def test_tracebacks_that_do_not_exist_are_refused_with_those_that_do() -> None:
    for refuse in (lambda: serve(LOOPBACK, tracebacks="none"), lambda: Router(tracebacks="none")):
        with pytest.raises(errors.OptionError) as caught:
            refuse()

        expected = "tracebacks='none' does not exist: use one of 'full', 'names', 'off'"
        assert str(caught.value) == expected
