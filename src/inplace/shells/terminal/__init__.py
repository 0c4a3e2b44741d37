"""Terminal: the command line."""
