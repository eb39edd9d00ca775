"""Tasks pass the tests that CPython has for asyncio's own coroutines."""

from __future__ import annotations

import unittest

import pytest

from .cpython import EXCLUDED, cases


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.id().rpartition("asyncio.")[2])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tasks_pass_a_test_of_cpython(case: unittest.TestCase) -> None:
    if (reason := EXCLUDED.get(case._testMethodName)) is not None:
        pytest.skip(reason)
    result = unittest.TestResult()

    case.run(result)

    assert "".join(text for _, text in result.failures + result.errors) == ""
    assert result.testsRun == 1
