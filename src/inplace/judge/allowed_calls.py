"""Does without autograd what autograd refuses: so it is known what values the code computes, had it been let.

NOTE [ What is refused ]
PyTorch refuses a write to a leaf, to a view that forbids it, and to save a tensor of inference mode. Under `no_grad` it
does all of these, with the values that the code asks for. Of a leaf that is what such a write means (an update), so the
run is right to its end; of others the graph ends there, and what comes behind the next backward is something else.
What does not fit its target is given memory of its own, and a view that is impossible is a copy. That a graph was freed
is no reason either: there every backward keeps its own.
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
        let: what was refused: `updates` of leaves, `others`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.let: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        try:
            return func(*args, **kwargs)
        except RuntimeError as refused:
            name = getattr(func, "__name__", "")
            if name in _BACKWARDS:
                raise
            let = "updates" if _LEAF in str(refused) else "others"
            try:
                with torch.no_grad():
                    result = func(*args, **kwargs)
            except RuntimeError:
                result, let = _otherwise(name, args, kwargs), "others"
                if result is None:
                    raise
            self.let.append(let)
            return result


def _otherwise(name: str, args: Any, kwargs: Any) -> Any:
    """What a call computes that is refused for where its result is to go: a copy for a view, other memory for a write.

    None where that is not known.
    """
    if name == "view":
        return torch.Tensor.reshape(*args, **kwargs)
    twin = name.replace("__i", "__", 1) if name.startswith("__i") else name[:-1] if name.endswith("_") else ""
    if not hasattr(torch.Tensor, twin) or not args or not isinstance(args[0], torch.Tensor):
        return None
    with torch.no_grad():
        args[0].data = getattr(torch.Tensor, twin)(*args, **kwargs)
    return args[0]
