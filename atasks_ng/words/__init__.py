"""The words of the library: errors, type aliases, ids and hooks. Imports nothing of the package."""
