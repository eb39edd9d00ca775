"""The call path: from the decorated function to the transport, and from the transport to the body."""
