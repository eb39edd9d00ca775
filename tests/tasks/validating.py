"""What is said about wrong arguments."""

from __future__ import annotations

from typing import Any

import pytest


def refused(task: Any, *args: Any, **kwargs: Any) -> list[str]:
    """Return what is said about each wrong argument."""
    with pytest.raises(TypeError) as caught:
        task(*args, **kwargs)
    assert type(caught.value) is TypeError
    first, *lines = str(caught.value).split("\n")
    assert first.endswith("() got arguments that do not fit its annotations:")
    assert all(line.startswith("  ") for line in lines)
    return [line.removeprefix("  ") for line in lines]
