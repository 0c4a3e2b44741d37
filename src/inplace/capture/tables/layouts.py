"""The layouts of tensors, by number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from inplace.facts.model import Layout

LAYOUT = 6  # the bit from which on the packed facts of a state hold its layout
_OPAQUE = Layout((), None, "unknown", 0, "unknown")


class Layouts:
    """Gives numbers to layouts.

    Attributes:
        known: every layout met, by number.
        sizes: the bytes of a storage that holds one dense tensor of each layout and no more; 0 where it has gaps.
        ids: the numbers, by shape, strides, dtype, and device (None for the CPU: a device's hash takes as long as those
            of the three others).
    """

    def __init__(self) -> None:
        self.known: list[Layout] = []
        self.sizes: list[int] = []
        self.ids: dict[tuple[Any, ...], int] = {}

    def of(self, tensor: torch.Tensor) -> int:
        """The number of a tensor's layout.

        Raises:
            RuntimeError: it has none: a `resize_` to fewer than no elements fails, and leaves its tensor so.
        """
        key = (tensor.shape, tensor.stride(), tensor.dtype, None if tensor.is_cpu else tensor.device)
        found = self.ids.get(key)
        if found is None:
            shape, strides = tuple(map(int, key[0])), tuple(map(int, key[1]))
            if min(shape, default=0) < 0:
                raise RuntimeError("a size is negative")
            name, device = str(key[2]).removeprefix("torch."), str(tensor.device)
            found = self.ids[key] = self._add(Layout(shape, strides, name, tensor.element_size(), device))
        return found

    def opaque(self) -> int:
        """The number of what stands for a layout that can't be read."""
        return self._add(_OPAQUE)

    def shaped(self, shape: tuple[int, ...]) -> int:
        """The number of a layout of which only the shape, in elements, is known."""
        found = self.ids.get(shape)
        if found is None:
            found = self.ids[shape] = self._add(replace(_OPAQUE, shape=shape))
        return found

    def _add(self, layout: Layout) -> int:
        self.known.append(layout)
        self.sizes.append(layout.itemsize * _dense(layout))
        return len(self.known) - 1


def _dense(layout: Layout) -> int:
    """The elements of a tensor that lie side by side in some order; 0 where they don't."""
    reach = 1
    for stride, length in sorted(zip(layout.strides or (), layout.shape, strict=False)):
        if length != 1:
            if stride != reach:
                return 0
            reach *= length
    return reach
