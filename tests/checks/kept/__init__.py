"""Programs in many styles that keep tensors by reference."""
