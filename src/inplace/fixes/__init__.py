"""Fixes: what to propose."""
