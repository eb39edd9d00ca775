"""Identities: 128 random bits as 32 hexadecimal digits, made without a system call each."""

from __future__ import annotations

import os
import secrets

# One system call yields this many ids; a call to the kernel for each would cost more than the id.
_BATCH = 256

_pool: list[str] = []


def new_id() -> str:
    """Return a new identity: 128 random bits, 32 hexadecimal digits."""
    if not _pool:
        digits = secrets.token_hex(16 * _BATCH)
        _pool.extend([digits[i : i + 32] for i in range(0, len(digits), 32)])
    return _pool.pop()


# A forked child would hand out the same ids as its parent.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.clear)
