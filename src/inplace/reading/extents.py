"""Which bytes and elements of a storage a layout covers. A span is (first byte, byte after the last)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from inplace.facts.model import Layout, TensorState

Span = tuple[int, int]

_ENUMERATED = 20_000  # elements up to which two strided tensors are compared exactly
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


def byte_span(state: TensorState) -> range:
    """Bytes of the storage that `state` may touch, from the start of the storage; gaps between elements included."""
    return span(state.offset, state.layout)


def span(offset: int, layout: Layout) -> range:
    """Bytes from the first to the last element of a layout at `offset` elements; empty for 0 elements."""
    if layout.numel == 0 or layout.strides is None:
        return range(0)
    last = offset + sum((size - 1) * stride for size, stride in zip(layout.shape, layout.strides, strict=True))
    return range(offset * layout.itemsize, (last + 1) * layout.itemsize)


def overlaps(one: TensorState, two: TensorState) -> bool:
    """Whether two tensors share at least one byte. Exact up to 20,000 elements, else by span (may say yes for gaps)."""
    if one.storage is None or one.storage != two.storage:
        return False
    return layouts_overlap(one.offset, one.layout, two.offset, two.layout)


def layouts_overlap(offset_one: int, one: Layout, offset_two: int, two: Layout) -> bool:
    """Whether two layouts over the same storage share at least one byte."""
    first, second = span(offset_one, one), span(offset_two, two)
    if not first or not second or first.stop <= second.start or second.stop <= first.start:
        return False
    if one.itemsize != two.itemsize or max(one.numel, two.numel) > _ENUMERATED:
        return True
    return not set(elements(offset_one, one)).isdisjoint(elements(offset_two, two))


def overlaps_itself(layout: Layout) -> bool:
    """Whether two elements of one tensor share bytes, as `expand` and `unfold` make them."""
    strides = layout.strides or ()
    dims = sorted((abs(stride), size) for size, stride in zip(layout.shape, strides, strict=True) if size > 1)
    reach = 0
    for stride, size in dims:
        if stride <= reach:
            return layout.numel > 0 and (stride == 0 or _repeats(layout))
        reach += stride * (size - 1)
    return False


def _repeats(layout: Layout) -> bool:
    if layout.numel > _ENUMERATED:
        return False
    found = list(elements(0, layout))
    return len(set(found)) != len(found)
