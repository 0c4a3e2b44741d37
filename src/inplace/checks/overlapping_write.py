"""Writes whose target overlaps itself, or what the same call reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from inplace.checks.findings import Finding, OverlappingWrite
from inplace.facts.model import Layout, TensorState
from inplace.reading.extents import overlaps, overlaps_itself
from inplace.reading.history import Write
from inplace.reading.index import Index


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
