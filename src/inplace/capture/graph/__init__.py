"""Graph: what autograd holds, while the code runs and after it has failed."""
