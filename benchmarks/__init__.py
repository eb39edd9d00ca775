"""Measurements of the library; see README.rst for the method and what the figures cannot say."""
