"""Whether what is computed now stands for something else: compilers run the engine on tensors that have no values."""

from __future__ import annotations

import torch

_KEYS = torch._C._TorchDispatchModeKey
_TRACING = (_KEYS.FAKE, _KEYS.PROXY, _KEYS.FUNCTIONAL)


def is_traced() -> bool:
    """Whether PyTorch is tracing, as `torch.compile` does when it makes the backward of what it compiles."""
    return any(torch._C._get_dispatch_mode(key) is not None for key in _TRACING)
