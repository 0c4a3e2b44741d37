"""Whether two tensors, or two elements of one, share any bytes: exactly, by numpy's solver."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import Any

import numpy as np

from inplace.facts.model import Layout, TensorState

_WORK = 1_000_000  # candidate solutions that numpy tries for one question (`numpy.shares_memory`, `max_work`)
_SOMEWHERE = 1 << 40  # an address that is never read


class Overlaps:
    """Answers for the layouts of one trace, each question once.

    Attributes:
        undecided: questions that took more work than we spend; they were answered with no.
    """

    bound = _WORK
    """Candidate solutions tried for one question."""

    def __init__(self) -> None:
        self.undecided = 0
        self._known: dict[object, bool] = {}

    def of(self, one: TensorState, two: TensorState) -> bool:
        """Whether two tensors share at least one byte."""
        if one.storage is None or one.storage != two.storage:
            return False
        return self.of_layouts(one.offset, one.layout, two.offset, two.layout)

    def of_layouts(self, offset_one: int, one: Layout, offset_two: int, two: Layout) -> bool:
        """Whether two layouts over the same storage share at least one byte; offsets are in elements."""
        if not one.numel or not two.numel or one.strides is None or two.strides is None:
            return False
        key = (offset_one, one, offset_two, two)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._share(_bytes_of(offset_one, one), _bytes_of(offset_two, two))
        return found

    def within(self, layout: Layout) -> bool:
        """Whether two elements of one tensor share bytes, as `expand` and `unfold` make them."""
        found = self._known.get(layout)
        if found is None:
            found = self._known[layout] = self._repeats(layout)
        return found

    def _repeats(self, layout: Layout) -> bool:
        strides = layout.strides or ()
        dims = sorted((abs(stride), size) for size, stride in zip(layout.shape, strides, strict=True) if size > 1)
        if not layout.numel or not dims:
            return False
        if dims[0][0] == 0:
            return True
        # Elements share bytes where some steps along one dimension lead as far as steps along the shorter ones.
        return any(self._share(*_steps(dims[:place], *dims[place])) for place in range(1, len(dims)))

    def _share(self, one: Any, two: Any) -> bool:
        try:
            return bool(np.shares_memory(one, two, max_work=_WORK))  # type: ignore[arg-type]  # numpy types -1 and 0 only
        except np.exceptions.TooHardError:
            self.undecided += 1
            return False


class _Extent:
    """What numpy takes for an array; it looks at addresses only."""

    def __init__(self, start: int, shape: Sequence[int], strides: Sequence[int], itemsize: int) -> None:
        self.__array_interface__ = {
            "version": 3,
            "data": (_SOMEWHERE + start, True),
            "shape": tuple(shape),
            "strides": tuple(strides),
            "typestr": f"|V{itemsize}",
        }


def _bytes_of(offset: int, layout: Layout) -> Any:
    strides = [stride * layout.itemsize for stride in layout.strides or ()]
    return np.asarray(_Extent(offset * layout.itemsize, layout.shape, strides, layout.itemsize))


def _steps(shorter: Sequence[tuple[int, int]], stride: int, size: int) -> tuple[Any, Any]:
    """How far one to `size` - 1 steps of one dimension lead, and any steps along the shorter ones, back or forth."""
    back = sum(starmap(lambda step, count: step * (count - 1), shorter))
    along = _Extent(stride, [size - 1], [stride], 1)
    around = _Extent(-back, [2 * count - 1 for _, count in shorter], [step for step, _ in shorter], 1)
    return np.asarray(along), np.asarray(around)
