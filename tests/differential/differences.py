"""The differences that cannot be avoided, each with its reason."""

from __future__ import annotations

#: Program → why a task cannot do there what a plain function does, on any transport.
EVERYWHERE: dict[str, str] = {}

#: Program → why it differs over a network only.
OVER_A_NETWORK: dict[str, str] = {}
