"""Tools for testing programs that use the library, and the library itself."""
