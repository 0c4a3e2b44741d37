"""What the user calls the tensors of a trace, and which of several names is said first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property

from inplace.facts.model import Stack, StorageId, TensorId
from inplace.reading.source.code import root_of
from inplace.reading.trace.history import History
from inplace.reading.trace.place import Place
from inplace.reading.trace.places import Places


class Names:
    """The names of one trace."""

    def __init__(self, history: History, places: Places) -> None:
        self._history, self._places, self._trace = history, places, history.trace

    @cached_property
    def seen(self) -> dict[TensorId, list[str]]:
        """The names that reached each tensor when they were looked at, the shortest first."""
        found: dict[TensorId, dict[str, None]] = defaultdict(dict)
        for name in sorted(self._trace.names, key=lambda one: (len(one.path), one.path)):
            found[name.tensor][name.path] = None
        return {tensor: list(names) for tensor, names in found.items()}

    @cached_property
    def given(self) -> dict[TensorId, list[str]]:
        """The names that the source gives to each tensor: what its maker's result was assigned to."""
        found: dict[TensorId, dict[str, None]] = defaultdict(dict)
        for _, tensor, _, targets in self.givings():
            for target in targets:
                found[tensor][target] = None
        return {tensor: list(names) for tensor, names in found.items()}

    def givings(self, most: int | None = None) -> Iterator[tuple[int, TensorId, str, list[str]]]:
        """Each step whose result the source gives names, the tensor, the function the names are in, and the names.

        The function is empty for the code of a cell or file itself. `most` is how many calls are looked at.
        """
        history, columns = self._history, self._history.columns
        targets = [self._targets_of(stack) for stack in columns.stacks]
        scopes = [self._scope_of(stack) for stack in columns.stacks]
        by_library = [bool(stack.frames) and stack.frames[0].entry is not None for stack in columns.stacks]
        counts = zip(columns.stack[:most], columns.first_output[:most], columns.output_count[:most], strict=True)
        for step, (stack, first, count) in enumerate(counts):
            if count != 1 or not targets[stack]:
                continue
            if not by_library[stack] or not self._is_on_the_way(step, columns.outputs[first]):
                yield step, history.tensors_by_state[columns.outputs[first]], scopes[stack], targets[stack]

    def _is_on_the_way(self, step: int, output: int) -> bool:
        """Whether a call only writes what was there, and what its line called goes on: the count of a batch norm."""
        columns, tensors = self._history.columns, self._history.tensors_by_state
        if step + 1 == len(columns.stack) or columns.stack[step + 1] != columns.stack[step]:
            return False
        given = columns.before[columns.begins[step] : columns.begins[step + 1]]
        return tensors[output] in {tensors[state] for state in given}

    def _scope_of(self, stack: Stack) -> str:
        """The function that a stack was in, empty for code that is in none."""
        name = self._trace.site(stack.frames[0]).function if stack.frames else ""
        return "" if name == "<module>" else name

    def _targets_of(self, stack: Stack) -> list[str]:
        """What the result of a call with a stack is assigned to."""
        place = self._places.of_stack(stack, None)
        if any(frame.builds for frame in stack.frames[:1]):
            return []  # that is the object which it is made for
        return [] if place is None else list(self._places.code(place).assigned_from(place.position))

    def of(self, tensor: TensorId) -> list[str]:
        """Every name known of a tensor: those it was seen under, then those its source gives it."""
        return list(dict.fromkeys([*self.seen.get(tensor, []), *self.given.get(tensor, [])]))

    def first(self, tensors: Iterable[TensorId]) -> tuple[str, ...]:
        """The name said first of each of some tensors that have one, in the order of the alphabet."""
        return tuple(sorted(name for tensor in tensors for name in self.of(tensor)[:1]))

    def parameter(self, leaf: TensorId) -> str:
        """What a parameter is called; where no name reaches it, its place in its optimizer, or its shape."""
        names = self.of(leaf)
        if names:  # `p` of a loop says less than `model.weight`
            return next((name for name in names if "." in name), names[0])
        for optimizer in self._trace.optimizers:
            if leaf in optimizer.params:
                return f"{optimizer.name or optimizer.type} parameter {optimizer.params.index(leaf)}"
        state = self._history.last_state(leaf)
        return f"{self._trace.tensors[leaf].type} {list(state.layout.shape) if state is not None else ''}".rstrip()

    def over(self, storage: StorageId | None) -> list[str]:
        """Every name known of the tensors over a storage."""
        if storage is None:
            return []
        return list(dict.fromkeys(name for t in self._history.tensors_of.get(storage, []) for name in self.of(t)))

    def at(self, *places: Place | None) -> list[str]:
        """The user's variables that some places mention: what they assign, what they write to, what they use."""
        found = [name for one in places if one is not None for name in self._places.code(one).mentioned(one.position)]
        return list(dict.fromkeys(found))

    def told(
        self,
        *,
        first: Iterable[str] = (),
        tensors: Iterable[TensorId] = (),
        places: Iterable[Place | None] = (),
        storage: StorageId | None = None,
        last: Iterable[str] = (),
    ) -> tuple[str, ...]:
        """The names of a finding, the one that is said first in front, each once.

        Args:
            first: names that say more than all others.
            tensors: the tensors it is about.
            places: the places it names.
            storage: the storage it is about.
            last: names that belong to it besides.
        """
        of_tensors = [name for tensor in tensors for name in self.of(tensor)]
        return tuple(dict.fromkeys([*first, *of_tensors, *self.at(*places), *self.over(storage), *last]))

    def roots(self, names: Iterable[str]) -> set[str]:
        """The variables that some names begin with."""
        return {root_of(name) for name in names}
