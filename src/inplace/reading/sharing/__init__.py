"""Who else reaches the same bytes, and what that does."""
