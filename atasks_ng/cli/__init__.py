"""
The command ``atasks-ng``, also as ``python -m atasks_ng``.

========= ====================================================================================
module    does
========= ====================================================================================
parser    the commands and their options
logs      what is written to the standard error stream
loading   modules and files that define tasks
worker    ``atasks-ng worker``: perform calls
operating ``atasks-ng permissions`` and ``atasks-ng declare``: what operators need
run       ``atasks-ng run``: run programs that call tasks, and perform calls
========= ====================================================================================
"""

from .parser import main

__all__ = ["main"]
