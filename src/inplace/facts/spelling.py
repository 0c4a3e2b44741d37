"""Names of attributes that are nearly PyTorch's."""

from __future__ import annotations

from difflib import SequenceMatcher

FLAG = "requires_grad"
_NEARLY = 0.86  # of the letters in common: what is left of `require_grad`, `requires_gradient` and `requires_gard`


def is_nearly_flag(name: str) -> bool:
    """Whether a name is a slip for `requires_grad`: another one with nearly the same letters, or its method's."""
    if name == FLAG or not name.startswith("requ") or "grad" not in name.replace("gard", "grad"):
        return False
    return SequenceMatcher(None, name, FLAG).ratio() >= _NEARLY
