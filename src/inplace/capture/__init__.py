"""Capture: the only part that sees live tensors. It writes down facts and lets the tensors go."""
