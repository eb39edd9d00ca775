"""Log records that say which call they belong to."""

from __future__ import annotations

import logging
from typing import Any

from ..places.current import running

_installed = False


def mark_records() -> None:
    """
    Give every log record of this process ``call_id`` and ``call_task``.

    Both are ``None`` outside of a task. A format string shows them as ``%(call_id)s``. Called when
    a process begins to perform calls; calling it again does nothing.
    """
    global _installed  # noqa: PLW0603  # the factory is one for the process, too
    if _installed:
        return
    _installed = True
    make = logging.getLogRecordFactory()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        call = running.get()
        record.call_id = None if call is None else call.id
        record.call_task = None if call is None else call.request.task
        return record

    logging.setLogRecordFactory(factory)
