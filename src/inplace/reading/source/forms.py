"""In-place calls of the user's source in their out-of-place forms."""

from __future__ import annotations

MADE_LIKE = {"fill_": "full_like", "zero_": "zeros_like"}
"""In-place methods without a method out of place, and the functions of `torch` that make such a tensor."""
