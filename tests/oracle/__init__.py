"""Random programs, and PyTorch as their judge."""
