"""
Search for messages that break the default codec, guided by the code that they reach.

``python -m tests.fuzz.decode --seconds 3600`` wants the extra ``fuzz``. It ends at the first
message that makes decoding raise anything but ``DecodeError``, return what the codec does not
name, or take longer than a second, and writes that message into the folder it was started in.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.decode", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="default: %(default)s")
    parser.add_argument("--corpus", type=Path, help="a folder that keeps what was found useful")
    parser.add_argument("--max-bytes", type=int, default=4096, help="default: %(default)s")
    options = parser.parse_args()
    try:
        import atheris
    except ImportError:
        parser.error("the extra `fuzz` is not installed: pip install -e .[fuzz]")
    with atheris.instrument_imports(include=["atasks_ng.codecs"]):
        from . import supported
    with tempfile.TemporaryDirectory() as folder:
        corpus = options.corpus or Path(folder)
        sow(corpus)
        arguments = [
            sys.argv[0],
            str(corpus),
            f"-max_total_time={options.seconds}",
            f"-max_len={options.max_bytes}",
            "-timeout=1",
            "-rss_limit_mb=1024",
        ]
        atheris.Setup(arguments, supported.decode)
        atheris.Fuzz()


def sow(corpus: Path) -> None:
    """Write messages of every type into a folder: where the search begins."""
    from .mutations import messages

    corpus.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(messages()):
        (corpus / f"sample-{number}").write_bytes(content)


if __name__ == "__main__":
    main()
