"""What large bodies leave free stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
    import resource
    from atasks_ng.transport.backends.amqp.lane import heap

    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(1000):
            # As some calls have them: the arguments, the envelope, the frames.
            body = [bytearray(100 * 1024) for _ in range(8)]
            del body
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    without = faults()
    heap.keep()
    faults()
    print(without, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries take no notice")
def test_pages_of_large_bodies_are_not_made_anew_for_each() -> None:
    program = textwrap.dedent(PROGRAM)

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    without, kept = map(int, done.stdout.split())
    assert kept * 10 < without
