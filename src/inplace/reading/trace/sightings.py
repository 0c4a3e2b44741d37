"""When calls met each tensor, and in which state: in columns, since long runs have millions of such meetings."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import overload

from inplace.facts.model import StateId, TensorId
from inplace.facts.rows import CallColumns

Sighting = tuple[int, StateId]
"""The step of a call, and the state in which it found or left the tensor."""


class Sightings(Mapping[TensorId, Sequence[Sighting]]):
    """The sightings of each tensor, in order.

    Args:
        tensors: the tensor of each state.
        columns: what is asked for of the calls.
    """

    def __init__(self, tensors: Sequence[TensorId], columns: CallColumns) -> None:
        counts = array("i", bytes(4 * (max(tensors, default=-1) + 1)))
        for _, state in _met(columns):
            counts[tensors[state]] += 1
        self._starts = array("i", [0])
        for count in counts:
            self._starts.append(self._starts[-1] + count)
        self._steps, self._states = (array("i", bytes(4 * self._starts[-1])) for _ in range(2))
        free = self._starts[:-1]
        for step, state in _met(columns):
            tensor = tensors[state]
            self._steps[free[tensor]], self._states[free[tensor]] = step, state
            free[tensor] += 1

    def __getitem__(self, tensor: TensorId) -> Sequence[Sighting]:
        if not 0 <= tensor < len(self._starts) - 1 or self._starts[tensor] == self._starts[tensor + 1]:
            raise KeyError(tensor)
        return _Seen(self._steps, self._states, range(self._starts[tensor], self._starts[tensor + 1]))

    def __iter__(self) -> Iterator[TensorId]:
        return (TensorId(tensor) for tensor, (begin, end) in enumerate(pairwise(self._starts)) if begin < end)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Seen(Sequence[Sighting]):
    """Those of one tensor."""

    __slots__ = ("_places", "_states", "_steps")

    def __init__(self, steps: array[int], states: array[int], places: range) -> None:
        self._steps, self._states, self._places = steps, states, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Sighting: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sighting]: ...
    def __getitem__(self, index: int | slice) -> Sighting | Sequence[Sighting]:
        if isinstance(index, slice):
            return _Seen(self._steps, self._states, self._places[index])
        place = self._places[index]
        return self._steps[place], StateId(self._states[place])


def _met(columns: CallColumns) -> Iterator[Sighting]:
    """Whenever a call found or left a tensor in a state, in order."""
    before, after = columns.before, columns.after
    for step, (begin, end) in enumerate(pairwise(columns.begins)):
        for place in range(begin, end):
            yield step, StateId(before[place])
        for place in range(begin, end):
            if after[place] != before[place]:
                yield step, StateId(after[place])
        for state in columns.outputs_of(step):
            yield step, StateId(state)
