"""Random programs, each run plain and recorded in a process of its own: whatever it could notice of us is compared."""
