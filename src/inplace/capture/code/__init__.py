"""Code: the user's lines, names and tracebacks."""
