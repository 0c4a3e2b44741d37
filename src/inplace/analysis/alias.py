"""Which bytes tensors touch, and whether two tensors, or two elements of one, share any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from inplace.analysis.history import Write
from inplace.analysis.index import Index
from inplace.analysis.report import Finding, OverlappingWrite
from inplace.model import Layout, TensorState

_ENUMERATED = 20_000  # elements up to which two strided tensors are compared exactly


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


def elements(offset: int, layout: Layout) -> Iterator[int]:
    """The element numbers that a layout touches, in row order."""
    found = [offset]
    for size, stride in zip(layout.shape, layout.strides or (), strict=True):
        found = [start + number * stride for start in found for number in range(size)]
    return iter(found)


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


def overlapping_writes(index: Index) -> Iterator[Finding]:
    """Yield writes whose target overlaps itself, or overlaps an input in part."""
    for write in index.writes:
        how = _how(index, write)
        if how is None:
            continue
        raised = write.call.raised is not None
        place = index.place(write.call)
        names = [*index.names_of(write.before.tensor), *index.names_at(place), *index.names_over(write.before.storage)]
        yield OverlappingWrite(
            severity="error" if raised else "warning",
            culprits=index.places(write.call),
            victim=None,
            names=tuple(dict.fromkeys(names)),
            tensor=write.before.tensor,
            how=how,
            raised=raised,
        )


def _how(index: Index, write: Write) -> str | None:
    state = write.before
    refused = write.call.raised is not None
    if refused and (state.requires_grad and state.is_leaf and index.in_grad_mode(write.call)):
        return None  # refused for being a leaf, before any overlap was looked at
    whole = write.call.function.label in {"fill_", "zero_"}  # one value everywhere: the order can't matter
    if overlaps_itself(state.layout) and not whole:
        return "expanded"
    item = write.call.function.label == "__setitem__"
    if item and not refused:
        if _repeats_indices(index, write):
            return "indices"
        return "partial" if _shifts(index, write) else None
    for argument in write.call.inputs:
        other = state if argument is write.argument else index.trace.states[argument.before]
        if other.tensor != state.tensor and _in_part(state, other):
            return "partial"
        if item and argument.path.startswith("1") and overlaps(state, other):
            return "partial"  # the index is read while the tensor it lies in is written
    return None


def _shifts(index: Index, write: Write) -> bool:
    """Whether an item assignment copies a part of a tensor to a part that overlaps it (`x[1:] = x[:-1]`).

    The trace does not know which part is written; the source does, where the index is written out in numbers.
    """
    value = next((index.trace.states[a.before] for a in write.call.inputs if a.path == "2"), None)
    place = index.place(write.call)
    if value is None or place is None or value.storage is None or value.storage != write.before.storage:
        return False
    target = index.code_of(place).indexed(place.position)
    strides = write.before.layout.strides
    part = None if target is None or strides is None else _part(write.before, target)
    return part is not None and _in_part(part, value)


def _part(state: TensorState, indices: Sequence[int | slice]) -> TensorState | None:
    """What basic indexing with numbers and slices makes of a tensor."""
    layout, offset = state.layout, state.offset
    if layout.strides is None or len(indices) > len(layout.shape):
        return None
    shape, strides = list(layout.shape), list(layout.strides)
    kept: list[tuple[int, int]] = []
    for number, (size, stride) in enumerate(zip(shape, strides, strict=True)):
        one = indices[number] if number < len(indices) else slice(None)
        if isinstance(one, int):
            offset += (one + size if one < 0 else one) * stride
            continue
        taken = range(size)[one]
        offset += taken.start * stride
        kept.append((len(taken), stride * taken.step))
    found = Layout(tuple(s for s, _ in kept), tuple(s for _, s in kept), layout.dtype, layout.itemsize, layout.device)
    return replace(state, offset=offset, layout=found)


def _repeats_indices(index: Index, write: Write) -> bool:
    """Whether an item assignment updates what it read at repeated indices (`x[i] += 1`): only one update stays."""
    states = index.trace.states
    indices = [states[a.before] for a in write.call.inputs if a.path.split("[")[0] == "1"]
    value = next((states[a.before] for a in write.call.inputs if a.path == "2"), None)
    rows = [state.values for state in indices if state.layout.dtype in {"int64", "int32"}]
    if value is None or not rows or any(row is None for row in rows):
        return False
    places = list(zip(*(row for row in rows if row is not None), strict=False))
    if len(set(places)) == len(places):
        return False
    return any(
        call.function.label == "__getitem__"
        and states[call.inputs[0].before].tensor == write.before.tensor
        and index.statement_of(call) == index.statement_of(write.call)
        for call in index.calls_at(index.makers.get(value.tensor, ()))
    )


def _in_part(target: TensorState, source: TensorState) -> bool:
    same = target.offset == source.offset and target.layout == source.layout
    return not same and target.storage == source.storage and overlaps(target, source)
