"""Writes that are refused, that are lost, or that reach what somebody else is about to read."""
