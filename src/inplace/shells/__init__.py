"""Shells: read options, call the conductor, show."""
