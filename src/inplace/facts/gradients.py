"""What stands in a trace for that which backward does to gradients."""

from __future__ import annotations

ACCUMULATED = "torch._C._functions.AccumulateGrad"
"""The node that adds to the gradient of a leaf, in place where there is one (`accumulate_grad.h`)."""
