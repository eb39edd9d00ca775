"""Transports: how envelopes get from a caller to a worker and back."""

from .base import Transport, get_transport
from .urls import register_scheme, transport_from_url

__all__ = ["Transport", "get_transport", "register_scheme", "transport_from_url"]
