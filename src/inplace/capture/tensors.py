"""The kinds of tensors that are recorded, and the rows in which tensors are kept.

NOTE [ New tensors ]
The tensor that a call gives out in memory of its own is noted in one row, and it is all there is of it: the state it is
in first, whose id is a negative number then (`first_state`), its storage, and its version counter. Most tensors are
never more than that. What else there is of states and storages has rows of its own; a trace has them all in the order
in which they were met.
"""

from __future__ import annotations

from array import array
from struct import Struct

import torch

from inplace.capture.twins import open_twin
from inplace.model import StateId, StorageId, Tensor, TensorId

PLAIN: frozenset[type] = frozenset(
    {torch.Tensor, torch.nn.Parameter, *([torch.nn.Buffer] if hasattr(torch.nn, "Buffer") else [])}
)
TYPES: tuple[type, ...] = (torch.Tensor, *sorted(PLAIN - {torch.Tensor}, key=lambda kind: kind.__name__))
# Positions in one row: its type, the call that gave it out, first step, last step; and of a new tensor the packed facts
# of its first state (see states.py) and its node, counted from where the recording began; NONE and -1 for others.
KIND, ORIGIN, FIRST, LAST, FACTS, NODE = range(6)
TENSOR = 6
NONE = -1
NO_STEP = -2
tensor_row = Struct(f"{TENSOR}i").pack
_OpenTensor = open_twin(Tensor)


def first_state(tensor: int) -> StateId:
    """The id of the first state of a new tensor while it is recorded; the same function gives the tensor of the id."""
    return StateId(-1 - tensor)


class Tensors:
    """What is known of each tensor.

    Attributes:
        rows: TENSOR integers for each.
        asked: the storages of new tensors that were asked for after all; see NOTE [ Storages nobody has asked for ].
    """

    def __init__(self) -> None:
        self.rows = array("i")
        self.asked: dict[int, StorageId] = {}

    @property
    def count(self) -> int:
        """How many tensors were met."""
        return len(self.rows) // TENSOR

    def add(self, kind: type, origin: int | None, step: int) -> TensorId:
        """Give an id to a tensor that is met now."""
        found = TensorId(self.count)
        number = 0 if kind is torch.Tensor else TYPES.index(kind)
        self.rows.frombytes(tensor_row(number, NO_STEP if origin is None else origin, step, NO_STEP, NONE, -1))
        return found

    def fact(self, tensor: int, position: int) -> int:
        """One integer of a tensor's row."""
        return self.rows[tensor * TENSOR + position]

    def frozen(self) -> tuple[Tensor, ...]:
        """The tensors as plain values."""
        found = []
        names = [kind.__name__ for kind in TYPES]
        rows = zip(*[iter(self.rows)] * TENSOR, strict=True)
        for number, (kind, origin, first, last, _, _) in enumerate(rows):
            tensor = _OpenTensor(number, names[kind], step_or_none(origin), first, step_or_none(last))
            tensor.__class__ = Tensor
            found.append(tensor)
        return tuple(found)


def step_or_none(number: int) -> int | None:
    """A step as it is in a trace."""
    return None if number == NO_STEP else number
