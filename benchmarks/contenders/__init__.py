"""Those that are compared: this library, and others that carry a call to another process."""

from .base import Calls, Contender, Place, workers
from .table import CONTENDERS

__all__ = ["CONTENDERS", "Calls", "Contender", "Place", "workers"]
