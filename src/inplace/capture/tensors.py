"""The kinds of tensors that are recorded, and the columns in which tensors are kept."""

from __future__ import annotations

from array import array
from struct import Struct

import torch

from inplace.capture.twins import open_twin
from inplace.model import Tensor

PLAIN: frozenset[type] = frozenset(
    {torch.Tensor, torch.nn.Parameter, *([torch.nn.Buffer] if hasattr(torch.nn, "Buffer") else [])}
)
TYPES: tuple[type, ...] = (torch.Tensor, *sorted(PLAIN - {torch.Tensor}, key=lambda kind: kind.__name__))
TENSOR = 4  # integers a tensor: its type, the call that gave it out, first step, last step
NO_STEP = -2
tensor_row = Struct(f"{TENSOR}i").pack
_OpenTensor = open_twin(Tensor)


def frozen_tensors(facts: array[int]) -> tuple[Tensor, ...]:
    """The tensors in their columns as plain values."""
    found = []
    names = [kind.__name__ for kind in TYPES]
    for number, (kind, origin, first, died) in enumerate(zip(*[iter(facts)] * TENSOR, strict=True)):
        tensor = _OpenTensor(number, names[kind], _step(origin), first, _step(died))
        tensor.__class__ = Tensor
        found.append(tensor)
    return tuple(found)


def _step(number: int) -> int | None:
    return None if number == NO_STEP else number
