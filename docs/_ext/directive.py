"""The directive ``.. drawn:: NAME``: what :mod:`drawn` makes of the code, in its place."""

from __future__ import annotations

from typing import Any, ClassVar

import drawn
from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class Drawn(SphinxDirective):
    """Show something drawn from the code."""

    required_arguments: ClassVar[int] = 1
    final_argument_whitespace: ClassVar[bool] = True

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes(drawn.DRAWN[self.arguments[0]]())


def setup(app: Any) -> dict[str, bool]:
    """Add the directive to Sphinx."""
    app.add_directive("drawn", Drawn)
    # Pages that show code have no file of their own that would change with it.
    app.connect("env-get-outdated", lambda app, env, *_: sorted(env.found_docs))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
