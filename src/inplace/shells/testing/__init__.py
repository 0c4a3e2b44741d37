"""Testing: what a test runner asks of us."""
