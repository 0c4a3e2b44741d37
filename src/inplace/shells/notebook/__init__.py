"""Notebook: the magics."""
