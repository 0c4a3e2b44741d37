"""Which bytes and elements of a storage a layout covers. A span is (first byte, byte after the last)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from inplace.facts.model import Layout

Span = tuple[int, int]

_PIECES = 64
_SHARED = 2  # tensors that make a byte a shared one


def elements(offset: int, layout: Layout) -> Iterator[int]:
    """The element numbers that a layout touches, in row order."""
    found = [offset]
    for size, stride in zip(layout.shape, layout.strides or (), strict=False):
        found = [start + number * stride for start in found for number in range(size)]
    return iter(found)


def pieces(offset: int, layout: Layout) -> tuple[list[tuple[int, int]], bool]:
    """The byte ranges a layout covers, in order, and whether they are exact; one span with gaps if there are many."""
    if layout.numel == 0 or layout.strides is None:
        return [], True
    dims = sorted(
        (stride, size) for size, stride in zip(layout.shape, layout.strides, strict=True) if size > 1 and stride
    )
    run = 1
    while dims and dims[0][0] <= run:
        stride, size = dims.pop(0)
        run += stride * (size - 1)
    starts = [offset]
    for stride, size in reversed(dims):
        if len(starts) * size > _PIECES:
            last = offset + run + sum(step * (count - 1) for step, count in dims)
            return [(offset * layout.itemsize, last * layout.itemsize)], False
        starts = [start + number * stride for start in starts for number in range(size)]
    return [(start * layout.itemsize, (start + run) * layout.itemsize) for start in sorted(starts)], True


def shared_ranges(parts: list[tuple[tuple[int, int], ...]]) -> Iterator[tuple[int, int]]:
    """The byte ranges that at least two of some tensors cover, in order."""
    turns: defaultdict[int, int] = defaultdict(int)
    for tensor in parts:
        for start, stop in tensor:
            turns[start] += 1
            turns[stop] -= 1
    depth, begin = 0, 0
    for at in sorted(turns):
        before, depth = depth, depth + turns[at]
        if before < _SHARED <= depth:
            begin = at
        elif depth < _SHARED <= before:
            yield begin, at
