"""Judge: what proves a fix."""
