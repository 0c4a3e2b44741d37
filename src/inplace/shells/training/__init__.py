"""Training: loops that others run, step by step."""
