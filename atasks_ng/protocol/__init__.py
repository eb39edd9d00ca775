"""
The rules of the protocol: what may be said, by whom, and what follows.

Nothing here does input or output, knows asyncio, or reads a clock. Machines are told what
happened and the time, and return actions; the router carries them out.
"""
