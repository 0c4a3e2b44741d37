"""Hosts, each tried with the real program where it is installed."""
