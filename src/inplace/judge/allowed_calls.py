"""Does without autograd what autograd refuses: so it is known what values the code computes, had it been let.

NOTE [ What is refused ]
PyTorch refuses a write to a leaf, to a view that forbids it, and to save a tensor of inference mode. Under `no_grad` it
does all of these, with the values that the code asks for. Of a leaf that is what such a write means (an update), so the
run is right to its end; of others the graph ends there, and what comes behind the next backward is something else.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_LEAF = "leaf Variable that requires grad"
_BACKWARDS = frozenset({"backward", "grad"})  # which would give gradients twice


class AllowedCalls(TorchFunctionMode):
    """Does calls that were refused again without autograd.

    Attributes:
        are_updates: whether there were some, all of them writes to leaves.
    """

    def __init__(self) -> None:
        super().__init__()
        self.are_updates = False
        self._others = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        try:
            return func(*args, **kwargs)
        except RuntimeError as refused:
            if not torch.is_grad_enabled() or getattr(func, "__name__", "") in _BACKWARDS:
                raise
            with torch.no_grad():
                result = func(*args, **kwargs)
            self._others = self._others or _LEAF not in str(refused)
            self.are_updates = not self._others
            return result
