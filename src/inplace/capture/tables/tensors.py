"""The kinds of tensors that are recorded, and the rows in which tensors are kept.

NOTE [ Distributed tensors ]
A `DTensor` (tensor parallelism, FSDP2's parameters) is a tensor of autograd's as any other: it has nodes, saves, views
and a version counter of its own. Its memory is another tensor's, the local part, so it has no bytes to be read, as one
on the meta device has none. Its module is loaded by who uses it, and so it is one of the recorded kinds from then on.

NOTE [ New tensors ]
The tensor that a call gives out in memory of its own is noted in one row, and it is all there is of it: the state it is
in first, whose id is a negative number then (`first_state`), its storage, and its version counter. Most tensors are
never more than that. What else there is of states and storages has rows of its own; a trace has them all in the order
in which they were met.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Any

import torch

from inplace.facts.model import StateId, StorageId, Tensor, TensorId
from inplace.facts.rows import NOTHING, Table

PLAIN: set[type] = {torch.Tensor, torch.nn.Parameter, *([torch.nn.Buffer] if hasattr(torch.nn, "Buffer") else [])}
TYPES: list[type] = [torch.Tensor, *sorted(PLAIN - {torch.Tensor}, key=lambda kind: kind.__name__)]
# Positions in one row: its type, the call that gave it out, first step, last step; and of a new tensor the packed facts
# of its first state (see tensor_states.py) and its node, counted from the first recorded; NONE and -1 for others.
KIND, ORIGIN, FIRST, LAST, FACTS, NODE = range(6)
TENSOR = 6
NONE = -1
NO_STEP = NOTHING
_DISTRIBUTED = ("torch.distributed.tensor", "torch.distributed._tensor")  # the latter up to PyTorch 2.4
_tensor: Any = Tensor  # given integers that are ids
tensor_row = Struct(f"{TENSOR}i").pack


def know_distributed() -> None:
    """Have distributed tensors recorded, if they can be by now; see NOTE [ Distributed tensors ]."""
    for name in _DISTRIBUTED:
        kind = getattr(sys.modules.get(name), "DTensor", None)
        if isinstance(kind, type) and kind not in PLAIN:
            PLAIN.add(kind)
            TYPES.append(kind)


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

    def frozen(self) -> TensorRows:
        """The tensors as a trace has them."""
        return TensorRows(self.rows)


class TensorRows(Table[Tensor]):
    """The tensors of a trace."""

    def __init__(self, rows: array[int]) -> None:
        super().__init__(len(rows) // TENSOR)
        self._rows = rows

    def _build(self, place: int) -> Tensor:
        kind, origin, first, last = self._rows[place * TENSOR : place * TENSOR + FACTS]
        return _tensor(place, TYPES[kind].__name__, step_or_none(origin), first, step_or_none(last))  # type: ignore[no-any-return]

    def _column(self, field: str) -> array[int]:
        return self._rows[{"origin": ORIGIN, "first_seen": FIRST, "died": LAST}[field] :: TENSOR]


def step_or_none(number: int) -> int | None:
    """A step as it is in a trace."""
    return None if number == NO_STEP else number


def in_order(new: Sequence[int], others: Iterable[tuple[int, int]]) -> array[int]:
    """The order in which things were met: new tensors as minus one minus their number, others by their own.

    Args:
        new: the numbers of the new tensors, rising.
        others: each one's number, and how many tensors had been met before it, which never falls.
    """
    found, negative, at = array("i"), array("i", [-1 - tensor for tensor in new]), 0
    for number, met in others:
        if at < len(new) and new[at] < met:
            until = bisect_left(new, met, at)
            found += negative[at:until]
            at = until
        found.append(number)
    found += negative[at:]
    return found


def places_in(order: Sequence[int], count: int) -> array[int]:
    """Where each is in an order that has at most `count` of them; negative numbers count from the end."""
    places = array("i", bytes(4 * count))
    for place, number in enumerate(order):
        places[number] = place
    return places
