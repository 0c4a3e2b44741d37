"""Scripts for the texts that PyTorch raises, and what is to be told of each."""
