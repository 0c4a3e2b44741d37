"""Bytes: contents that no version counter tells of."""
