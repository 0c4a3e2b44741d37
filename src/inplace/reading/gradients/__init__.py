"""Which gradients are there, which are missed, and what cost or doubled them."""
