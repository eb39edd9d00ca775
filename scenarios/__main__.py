"""Entry point of ``python -m scenarios``."""

import sys

from ._runner import main

if __name__ == "__main__":
    sys.exit(main())
