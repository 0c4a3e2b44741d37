"""Who gave out and wrote what in a trace: the look-ups that every check shares, made from columns."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from inplace.facts.model import (
    Argument,
    Call,
    ContentChange,
    Function,
    Kind,
    StorageId,
    TensorId,
    TensorState,
    Trace,
)
from inplace.facts.rows import NOTHING, CallColumns, call_columns, column, some
from inplace.reading.trace.sightings import Sightings

SET_ITEM = "__setitem__"
"""The function that an item assignment calls."""


def sets_data(function: Function) -> bool:
    """Whether a function gives a tensor the bytes of another (`p.data = t`): it writes none."""
    return function.kind is Kind.SETTER and function.label == "data"


@dataclass(frozen=True, slots=True)
class Write:
    """One argument that one call changed, with its states before and after."""

    call: Call
    argument: Argument
    before: TensorState
    after: TensorState

    @property
    def counted(self) -> bool:
        """Whether the version counter moved."""
        return self.before.version != self.after.version


class History:
    """What the calls of one trace did to its tensors, by columns, computed when first asked for."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.calls: Sequence[Call] = trace.calls

    @cached_property
    def columns(self) -> CallColumns:
        """What all calls are asked for."""
        return call_columns(self.trace.calls)

    def calls_at(self, steps: Iterable[int]) -> Iterator[Call]:
        """The calls of some steps."""
        return map(self.calls.__getitem__, steps)

    def given_out(self, tensors: Iterable[TensorId], before: int) -> list[Call]:
        """The calls before a step that gave out some tensors."""
        steps = {step for tensor in tensors for step in self.givers.get(tensor, ()) if step < before}
        return list(self.calls_at(sorted(steps)))

    def calls_of(self, test: Callable[[Function], object], before: int | None = None) -> Iterator[Call]:
        """The calls of some functions, those before a step only if one is given; in order."""
        return self.calls_at(self.columns.steps_of(test, before))

    @cached_property
    def writes(self) -> list[Write]:
        """Every write, in order; those of calls that raised are what the call would have written."""
        calls = some(self.calls, self.columns.may_write)  # most calls don't, and that is soon seen
        found = [(call, argument) for call in calls for argument in self.trace.writes(call)]
        before = some(self.trace.states, [argument.before for _, argument in found])
        after = some(self.trace.states, [argument.after for _, argument in found])
        return [Write(*one, *states) for one, *states in zip(found, before, after, strict=True)]

    @cached_property
    def writes_to(self) -> dict[StorageId, list[Write]]:
        """The writes that happened, by the storage they changed, in order."""
        found: dict[StorageId, list[Write]] = defaultdict(list)
        for write in self.writes:
            if write.call.raised is not None and not write.counted:
                continue
            for storage in {write.before.storage, write.after.storage}:
                if storage is not None:
                    found[storage].append(write)
        return found

    @cached_property
    def writes_by_counter(self) -> dict[int, list[Write]]:
        """The counted writes, by the version counter that they moved, in order."""
        found: dict[int, list[Write]] = defaultdict(list)
        for write in self.writes:
            if write.counted and write.after.counter is not None:
                found[write.after.counter].append(write)
        return found

    def writes_of(self, state: TensorState | None) -> list[Write]:
        """The writes that happened to the storage of a tensor, in order."""
        return self.writes_to.get(state.storage, []) if state is not None and state.storage is not None else []

    @cached_property
    def leaf_storages(self) -> set[StorageId]:
        """The storages of leaves that require grad."""
        return self._storages_with_gradient(leaves=True)

    @cached_property
    def result_storages(self) -> set[StorageId]:
        """The storages of tensors with a gradient path that some call made."""
        return self._storages_with_gradient(leaves=False)

    def _storages_with_gradient(self, *, leaves: bool) -> set[StorageId]:
        fields = [column(self.trace.states, field) for field in ("storage", "is_leaf", "requires_grad")]
        found = zip(*fields, strict=True)
        return {StorageId(storage) for storage, is_leaf, required in found if required and bool(is_leaf) is leaves}

    @cached_property
    def changes_of(self) -> dict[StorageId, list[ContentChange]]:
        """The changes of each storage's bytes that no call made, in order."""
        found: dict[StorageId, list[ContentChange]] = defaultdict(list)
        for change in self.trace.changes:
            found[change.storage].append(change)
        return found

    @cached_property
    def givers(self) -> dict[TensorId, list[int]]:
        """The steps of the calls that gave out each tensor, in order."""
        found: dict[TensorId, list[int]] = defaultdict(list)
        for step, tensors in self._given_out():
            for tensor in tensors:
                found[tensor].append(step)
        return found

    @cached_property
    def makers(self) -> dict[TensorId, list[int]]:
        """The steps of the calls that gave out or changed each tensor, in order."""
        found: dict[TensorId, list[int]] = defaultdict(list)
        written: dict[int, set[TensorId]] = defaultdict(set)
        for write in self.writes:
            written[write.call.step].add(write.before.tensor)
        for step, tensors in self._given_out():
            for tensor in {*tensors, *written.get(step, ())}:
                found[tensor].append(step)
        return found

    def _given_out(self) -> Iterator[tuple[int, Collection[TensorId]]]:
        """Each call's step and the tensors it gave out."""
        tensors, columns = self.tensors_by_state, self.columns
        outputs = columns.outputs
        for step, (first, count) in enumerate(zip(columns.first_output, columns.output_count, strict=True)):
            if count == 1:
                yield step, (tensors[outputs[first]],)
            else:
                yield step, {tensors[state] for state in outputs[first : first + count]}

    @cached_property
    def tensors_by_state(self) -> Sequence[TensorId]:
        """The tensor of each state."""
        return column(self.trace.states, "tensor")  # type: ignore[return-value]  # integers that are TensorIds

    @cached_property
    def last_numbers(self) -> dict[TensorId, int]:
        """The number of the last noted state of each tensor."""
        return dict(zip(self.tensors_by_state, range(len(self.tensors_by_state)), strict=True))

    def last_state(self, tensor: TensorId) -> TensorState | None:
        """The last noted state of a tensor."""
        state = self.last_numbers.get(tensor)
        return None if state is None else self.trace.states[state]

    def last_states(self) -> Iterator[TensorState]:
        """The last noted state of each tensor, in order of first sight."""
        return map(self.trace.states.__getitem__, self.last_numbers.values())

    def states_of(self, tensor: TensorId) -> list[TensorState]:
        """All noted states of a tensor."""
        return [self.trace.states[state] for state in self._states_of.get(tensor, ())]

    @cached_property
    def _states_of(self) -> dict[TensorId, list[int]]:
        found: dict[TensorId, list[int]] = defaultdict(list)
        for state, tensor in enumerate(self.tensors_by_state):
            found[tensor].append(state)
        return found

    @cached_property
    def sightings(self) -> Sightings:
        """(step, state) whenever a call found or left a tensor in a state, in order."""
        return Sightings(self.tensors_by_state, self.columns)

    def maker(self, tensor: TensorId, before: int) -> Call | None:
        """The last call before step `before` that gave out or changed a tensor."""
        steps = self.makers.get(tensor, [])
        position = bisect_left(steps, before) - 1
        while position >= 0 and steps[position] in self.columns.raised:
            position -= 1
        return self.calls[steps[position]] if position >= 0 else None

    def backward_raised(self, step: int) -> bool:
        """Whether the call at `step` is a backward that raised."""
        return step in self.columns.raised

    @cached_property
    def tensors_of(self) -> dict[StorageId, list[TensorId]]:
        """The tensors that were ever over each storage."""
        return self.tensors_over({*column(self.trace.states, "storage")} - {NOTHING})

    def tensors_over(self, storages: Iterable[int]) -> dict[StorageId, list[TensorId]]:
        """The tensors that were ever over each of some storages, in order of first sight."""
        # Over most storages there is one tensor, for which no dictionary is made.
        found: dict[int, TensorId | dict[TensorId, None] | None] = dict.fromkeys(storages)
        for storage, tensor in zip(column(self.trace.states, "storage"), self.tensors_by_state, strict=True):
            if storage not in found:
                continue
            known = found[storage]
            if known is None:
                found[storage] = tensor
            elif isinstance(known, dict):
                known[tensor] = None
            elif known != tensor:
                found[storage] = {known: None, tensor: None}
        return {
            StorageId(storage): list(known) if isinstance(known, dict) else [] if known is None else [known]
            for storage, known in found.items()
        }
