"""The states in which tensors were seen, in columns of integers, where -1 stands for nothing."""

from __future__ import annotations

from array import array
from struct import Struct
from typing import Any

import torch

from inplace.capture.twins import open_twin
from inplace.model import CounterId, Layout, StateId, StorageId, TensorId, TensorState

_OpenState = open_twin(TensorState)
_WIDTH = 8  # integers a state: tensor, storage, counter, offset, packed facts, version, node, base
_VERSION = 5
_row = Struct(f"{_WIDTH}q").pack
# Bits from which on the packed facts hold the creation and the layout; the first three are autograd's flags.
_CREATION, _LAYOUT = 3, 6
_OPAQUE = Layout((), None, "unknown", 0, "unknown")


def _dense(layout: Layout) -> int:
    """The elements of a tensor that lie side by side in some order; 0 where they don't."""
    reach = 1
    for stride, length in sorted(zip(layout.strides or (), layout.shape, strict=False)):
        if length != 1:
            if stride != reach:
                return 0
            reach *= length
    return reach


class States:
    """Keeps states and gives them their ids.

    Attributes:
        layouts: every layout met, by number.
        sizes: the bytes of a storage that holds one dense tensor of each layout and no more; 0 where it has gaps.
        values: the elements of small tensors, by the state they were read in.
    """

    def __init__(self) -> None:
        self.layouts: list[Layout] = []
        self.sizes: list[int] = []
        self.values: dict[StateId, tuple[Any, ...]] = {}
        self._facts = array("q")
        self._layout_ids: dict[tuple[Any, ...], int] = {}
        self._creations: list[str] = []

    def note(
        self,
        tensor: int,
        storage: int,
        counter: int,
        offset: int,
        layout: int,
        flags: int,
        version: int,
        node: int,
        base: int,
    ) -> StateId:
        """Note a state; `flags` are those of `reading.autograd_of`, with `creation` added for a view."""
        facts = self._facts
        state = StateId(len(facts) // _WIDTH)
        facts.frombytes(_row(tensor, storage, counter, offset, layout << _LAYOUT | flags, version, node, base))
        return state

    def again(self, state: StateId, version: int) -> StateId:
        """Note the same state at another version."""
        facts = self._facts
        number = StateId(len(facts) // _WIDTH)
        facts += facts[state * _WIDTH : (state + 1) * _WIDTH]
        facts[number * _WIDTH + _VERSION] = version
        return number

    def opaque(self, tensor: TensorId) -> StateId:
        """Note the state of a tensor of which no more can be read than that it is there."""
        self._add(_OPAQUE)
        return self.note(tensor, -1, -1, 0, len(self.layouts) - 1, 0, -1, -1, -1)

    def layout(self, tensor: torch.Tensor) -> int:
        """The number of a tensor's layout."""
        # The hash of a device takes as long as the three others.
        key = (tensor.shape, tensor.stride(), tensor.dtype, None if tensor.is_cpu else tensor.device)
        found = self._layout_ids.get(key)
        if found is None:
            found = self._layout_ids[key] = len(self.layouts)
            shape, strides = tuple(map(int, key[0])), tuple(map(int, key[1]))
            name, device = str(key[2]).removeprefix("torch."), str(tensor.device)
            self._add(Layout(shape, strides, name, tensor.element_size(), device))
        return found

    def _add(self, layout: Layout) -> None:
        self.layouts.append(layout)
        self.sizes.append(layout.itemsize * _dense(layout))

    def creation(self, name: str | None) -> int:
        """A `CreationMeta` as part of the flags; 0 for none."""
        if name is None:
            return 0
        if name not in self._creations:
            self._creations.append(name)
        return (self._creations.index(name) + 1) << _CREATION

    def tensor(self, state: StateId) -> TensorId:
        """The tensor that was in a state."""
        return TensorId(self._facts[state * _WIDTH])

    def placed(self, state: StateId) -> tuple[int, int]:
        """Offset in elements, and the number of the layout, of a state."""
        at = state * _WIDTH + 3
        return self._facts[at], self._facts[at + 1] >> _LAYOUT

    def counted(self, state: StateId) -> tuple[StorageId | None, CounterId | None]:
        """Storage and version counter of a state."""
        storage, counter = self._facts[state * _WIDTH + 1], self._facts[state * _WIDTH + 2]
        return None if storage < 0 else StorageId(storage), None if counter < 0 else CounterId(counter)

    def frozen(self) -> list[TensorState]:
        """The states as plain values."""
        found: list[TensorState] = []
        layouts, creations, values = self.layouts, self._creations, self.values.get
        columns = [iter(self._facts)] * _WIDTH
        for number, (tensor, storage, counter, offset, packed, version, node, base) in enumerate(
            zip(*columns, strict=True)
        ):
            creation = packed >> _CREATION & 7
            state = _OpenState(
                tensor,
                None if storage < 0 else storage,
                None if counter < 0 else counter,
                offset,
                layouts[packed >> _LAYOUT],
                None if version < 0 else version,
                packed & 1 == 1,
                packed & 2 == 2,  # noqa: PLR2004 - a flag
                None if node < 0 else node,
                None if base < 0 else base,
                "inference" if packed & 4 else creations[creation - 1] if creation else None,
                values(StateId(number)),
            )
            state.__class__ = TensorState
            found.append(state)
        return found
