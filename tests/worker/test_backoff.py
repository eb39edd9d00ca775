from __future__ import annotations

import pytest

from atasks_ng.worker.backoff import delay_before


@pytest.mark.parametrize(
    ("attempt", "delay"), [(0, 0.0), (1, 0.5), (2, 1.0), (3, 2.0), (4, 3.0), (10_000, 3.0)]
)
def test_delay_doubles_up_to_its_bound(attempt: int, delay: float) -> None:
    assert delay_before(attempt, first=0.5, longest=3.0) == delay
