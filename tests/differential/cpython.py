"""
CPython's own tests of asyncio, with the coroutine functions inside each test made tasks.

The source is that of the running interpreter. Every ``async def`` within a test becomes a task;
they share variables with the test, so they run on loopback, with a codec that keeps objects as
they are.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import itertools
import sys
import types
import unittest
from collections.abc import Iterator
from typing import Any

from atasks_ng import atask, connect
from atasks_ng.codecs import Codec

NAMESPACE = "differential-cpython"

MODULES = [
    "test.test_asyncio.test_taskgroups",
    "test.test_asyncio.test_timeouts",
    "test.test_asyncio.test_waitfor",
]

#: Test → why it cannot pass.
EXCLUDED = {
    "test_wait_for_issue86296": "it counts on a coroutine that ends without having suspended",
    "test_coro_closed_when_tg_closed": "it runs an event loop of its own, without a connection",
}


class ReferenceCodec(Codec):
    """Objects as they are, within one process."""

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self._objects: list[Any] = []

    def encode(self, obj: Any) -> bytes:
        self._objects.append(obj)
        return str(len(self._objects) - 1).encode()

    def decode(self, content: bytes) -> Any:
        return self._objects[int(content)]


class _Decorating(ast.NodeTransformer):
    """Put a decorator on each coroutine function that stands in a function."""

    def __init__(self) -> None:
        self._depth = 0

    def _visit_inside(self, node: Any) -> Any:
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1
        return node

    visit_FunctionDef = _visit_inside  # noqa: N815

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        self._visit_inside(node)
        if self._depth:
            node.decorator_list.append(ast.Name("__make_task__", ast.Load()))
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        # The methods of a class within a test are called by asyncio, with arguments of its own.
        return node if self._depth else self.generic_visit(node)


_number = itertools.count()


def _make_task(function: Any) -> Any:
    name = f"{function.__qualname__}-{next(_number)}"
    return atask(function, namespace=NAMESPACE, name=name)


def _connected(method: Any) -> Any:
    @functools.wraps(method)
    async def wrapper(*args: Any) -> None:
        ReferenceCodec(NAMESPACE)
        async with connect("loopback://", namespace=NAMESPACE):
            await method(*args)

    return wrapper


@functools.cache
def load(name: str) -> types.ModuleType:
    """Return a module of CPython's tests, changed."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    module = types.ModuleType(name)
    module.__dict__.update(
        __file__=spec.origin,
        __package__=name.rpartition(".")[0],
        __spec__=spec,
        __make_task__=_make_task,
    )
    tree = _Decorating().visit(ast.parse(inspect.getsource(importlib.import_module(name))))
    sys.modules[name] = module
    exec(compile(ast.fix_missing_locations(tree), spec.origin, "exec"), module.__dict__)
    for case in _classes(module):
        for attribute, method in list(vars(case).items()):
            if attribute.startswith("test") and inspect.iscoroutinefunction(method):
                setattr(case, attribute, _connected(method))
    return module


def _classes(module: types.ModuleType) -> Iterator[type[unittest.TestCase]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, unittest.TestCase):
            yield value


def cases() -> list[unittest.TestCase]:
    """Return every test, or none where CPython's tests are not installed."""
    # Some distributions package CPython's tests apart, or not at all.
    if not importlib.util.find_spec("test") or not importlib.util.find_spec("test.test_asyncio"):
        return []
    return [test for name in MODULES for test in _flat(_suite(name))]


def _suite(name: str) -> unittest.TestSuite:
    return unittest.defaultTestLoader.loadTestsFromModule(load(name))


def _flat(suite: Any) -> Iterator[unittest.TestCase]:
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from _flat(each)
        else:
            yield each
