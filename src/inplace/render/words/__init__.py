"""Words: every sentence that a user reads."""
