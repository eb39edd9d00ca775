"""Calls without a copy, within one process: the caller awaits the body itself."""
