"""The call path: from a decorated function to the transport, and from there to the body."""
