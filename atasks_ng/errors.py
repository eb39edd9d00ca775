"""Every error the library raises; the tree is drawn in :mod:`atasks_ng.words.errors`."""

from .words.errors import *  # noqa: F403  # one list of names, kept there
from .words.errors import __all__ as __all__
