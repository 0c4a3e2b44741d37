"""Recordings of several processes."""
