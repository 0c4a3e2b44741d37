"""Calls: what arrives at the function mode, and what is noted of it."""
