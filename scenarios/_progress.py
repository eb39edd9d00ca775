"""A progress bar on stderr, for people: silent when nobody looks."""

import importlib
import sys
from types import TracebackType
from typing import Any, Self


class Counter:
    """What is shown where tqdm is not installed: one line that counts."""

    def __init__(self, total: int, unit: str) -> None:
        self._total, self._unit, self._done = total, unit, 0

    def update(self, n: int) -> None:
        """Count n more as done."""
        self._done += n
        if sys.stderr.isatty():
            print(f"\r{self._done}/{self._total} {self._unit}", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if sys.stderr.isatty():
            print(file=sys.stderr)


def progress(total: int, unit: str) -> Any:
    """Return a context manager with ``update(n)``: tqdm's if it is installed."""
    try:
        tqdm = importlib.import_module("tqdm").tqdm
    except ImportError:
        return Counter(total, unit)
    return tqdm(total=total, unit=f" {unit}", disable=None)
