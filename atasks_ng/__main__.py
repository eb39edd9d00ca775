"""``python -m atasks_ng`` is the command ``atasks-ng``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
