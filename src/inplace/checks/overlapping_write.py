"""overlapping-write: a write whose target overlaps itself, or what the same call reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inplace.checks.finding import Cure, Finding
from inplace.facts.collectives import may_lie_within
from inplace.facts.model import GradMode, StorageId, TensorId, TensorState
from inplace.reading.ranks.collectives import is_own_part
from inplace.reading.trace.history import SET_ITEM, Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.items import part_of, value_of
from inplace.reading.writes.repeated_indices import repeats_indices


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlappingWrite(Finding):
    """A write whose target overlaps itself or what is read: the result depends on the order of elements.

    `how`: `expanded` (several elements share bytes), `partial` (input and output share some), `indices` (repeated).
    """

    kind = "overlapping-write"
    tensor: TensorId
    how: Literal["expanded", "partial", "indices"]
    raised: bool

    def tensors(self) -> tuple[TensorId, ...]:
        """The tensor that was written to."""
        return (self.tensor,)

    def reads_what_it_writes(self) -> bool:
        """Whether what is read is another part of the bytes."""
        return self.how == "partial"

    def cures(self) -> tuple[Cure, ...]:
        """Copies of what is read or written, before the write or where it was made."""
        if self.how == "indices":
            return (Cure.ACCUMULATED,)
        if self.how == "expanded":
            return (Cure.CLONE_MADE, Cure.CLONE_BEFORE)
        return (Cure.CLONE_VALUE, Cure.CLONE_BEFORE, Cure.CLONE_MADE)


def overlapping_writes(index: Index) -> Iterator[Finding]:
    """Yield writes whose target overlaps itself, or overlaps an input in part."""
    inputs = _Inputs(index)
    for write in index.history.writes:
        how = _how(index, write, inputs)
        if how is None:
            continue
        raised = write.call.raised is not None
        state = write.before
        yield OverlappingWrite(
            severity="error" if raised else "warning",
            culprits=index.places.chain(write.call),
            victim=None,
            names=index.names.told(tensors=[state.tensor], places=[index.places.of(write.call)], storage=state.storage),
            tensor=state.tensor,
            how=how,
            raised=raised,
        )


class _Inputs:
    """The inputs of calls by their storages; a step of an optimizer takes and writes some for each parameter."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._step = -1  # the call that was asked for last
        self._found: dict[StorageId | None, list[tuple[str, TensorState]]] = {}

    def beside(self, write: Write) -> list[tuple[str, TensorState]]:
        """The paths and states of what the call of a write took over the same storage, itself among it."""
        if write.call.step != self._step:
            self._step, self._found = write.call.step, {}
            for argument in write.call.inputs:
                state = self._index.trace.states[argument.before]
                self._found.setdefault(state.storage, []).append((argument.path, state))
        return self._found.get(write.before.storage, [])


def _how(index: Index, write: Write, inputs: _Inputs) -> Literal["expanded", "partial", "indices"] | None:
    state = write.before
    refused = write.call.raised is not None
    if may_lie_within(write.call.function.label) and is_own_part(index, write.call):
        return None
    if refused and (state.requires_grad and state.is_leaf and write.call.grad_mode is GradMode.GRAD):
        return None  # refused for being a leaf, before any overlap was looked at
    whole = write.call.function.label in {"fill_", "zero_"}  # one value everywhere: the order can't matter
    if index.overlaps.within(state.layout) and not whole:
        return "expanded"
    item = write.call.function.label == SET_ITEM
    if not refused and repeats_indices(index, write):
        return "indices"
    if item and not refused:
        return "partial" if _shifts(index, write) else None
    for path, other in inputs.beside(write):
        if other.tensor != state.tensor and _in_part(index, state, other):
            return "partial"
        if item and path.startswith("1") and index.overlaps.of(state, other):
            return "partial"  # the index is read while the tensor it lies in is written
    return None


def _shifts(index: Index, write: Write) -> bool:
    """Whether an item assignment copies a part of a tensor to a part that overlaps it (`x[1:] = x[:-1]`)."""
    value = value_of(index, write)
    if value is None or value.storage is None or value.storage != write.before.storage:
        return False
    part = part_of(index, write)
    return part is not None and _in_part(index, part, value)


def _in_part(index: Index, target: TensorState, source: TensorState) -> bool:
    same = target.offset == source.offset and target.layout == source.layout
    return not same and target.storage == source.storage and index.overlaps.of(target, source)
