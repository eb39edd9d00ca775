"""Memory of large bodies, which comes and goes with each of them."""

from __future__ import annotations

import functools

# 4 MiB: as large as a payload may be by default.
_LARGEST_BYTES = 4 * 1024 * 1024


@functools.cache
def keep() -> None:
    """
    Have the C library keep what large bodies leave free, up to twice the size of the largest.

    By default glibc gives it back to the system as soon as there are 128 KiB, and the next body has
    each of its pages made anew: with bodies of 100 KiB a sixth of the caller's time. Once a larger
    block was given back, glibc takes blocks of that size for usual and keeps more, as its manual
    says of ``M_MMAP_THRESHOLD``. This block is never touched, so it takes no memory. Other C
    libraries take no notice.
    """
    bytes(_LARGEST_BYTES)
