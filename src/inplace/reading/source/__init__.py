"""What the user's source says, by its text alone."""
