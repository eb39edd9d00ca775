"""
Workers: processes that perform calls.

=========== ==================================================================================
module      does
=========== ==================================================================================
serving     ``serve``: one process performs the calls of some namespaces, and stops losing none
stopping    signals that ask a process to stop, and leaving when something hangs
backoff     how long to wait before the next try
supervision rules for several worker processes: who is started, told, killed, and when
supervisor  carries those rules out with real processes
lifeline    how a worker process and its supervisor know of each other
=========== ==================================================================================
"""

from .serving import Worker, serve

__all__ = ["Worker", "serve"]
