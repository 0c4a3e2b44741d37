"""Patches: what is changed in other people's modules while we record."""
