"""Code: the user's lines, names, tracebacks and warnings."""
