"""The long sequences of a trace: an item is built when somebody asks for it, and one field of all items is a column.

A million calls are not a million objects. Who goes through a whole trace takes columns, and builds the few items that
turn out to matter; who takes a column of a plain list gets it too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeVar, overload

from inplace.facts.model import Call, Function, Raised, Stack

NOTHING = -2
"""What stands for None in a column: -1 is the step `BEFORE`."""

_KEPT = 8_000  # items that stay built: some megabytes of a table
Item = TypeVar("Item")


class Rows(Sequence[Item], ABC):
    """A sequence whose items are built when asked for.

    Args:
        count: how many there are.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._known: dict[int, Item] = {}

    @abstractmethod
    def _build(self, place: int) -> Item:
        """The item at a place from 0 to the number of items."""

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(self._count))]
        found = self._known.get(index)
        return self._find(index) if found is None else found

    def _find(self, index: int) -> Item:
        place = index + self._count if index < 0 else index
        if not 0 <= place < self._count:
            raise IndexError(index)
        found = self._build(place)
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[index] = found
        return found

    def __iter__(self) -> Iterator[Item]:
        return self.some(range(self._count))

    def some(self, places: Iterable[int]) -> Iterator[Item]:
        """The items at some places, in turn; they don't stay built."""
        return map(self._build, places)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._count} items>"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Sequence)
            and len(self) == len(other)
            and all(a == b for a, b in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]


def some(rows: Sequence[Item], places: Iterable[int]) -> Iterator[Item]:
    """The items at some places, in turn: those that are built when asked for don't stay so."""
    return rows.some(places) if isinstance(rows, Rows) else map(rows.__getitem__, places)


class Table(Rows[Item]):
    """Rows of which fields can be had without building them."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self._columns: dict[str, Sequence[int]] = {}

    @abstractmethod
    def _column(self, field: str) -> Sequence[int]:
        """One field of all items; see `column`."""

    def column(self, field: str) -> Sequence[int]:
        """One field of all items, worked out once."""
        found = self._columns.get(field)
        if found is None:
            found = self._columns[field] = self._column(field)
        return found


def column(rows: Sequence[Any], field: str) -> Sequence[int]:
    """A field that holds integers, flags or None, of all items: as integers, `NOTHING` where it is None."""
    if isinstance(rows, Table):
        return rows.column(field)
    values = [getattr(row, field) for row in rows]
    return [NOTHING if value is None else value for value in values]


@dataclass(frozen=True)
class CallColumns:
    """The calls of a trace in columns.

    Attributes:
        function: the place of each call's function in `functions`.
        stack: the place of each call's stack in `stacks`.
        begins: the place of each call's first argument in `path`, `before` and `after`, and their number at the end.
        paths: the paths of arguments.
        path: the place of each argument's path in `paths`, those of one call in a row.
        before: the states of arguments before their call, those of one call in a row.
        after: their states after it.
        first_output: the place of each call's first output in `outputs`; of no meaning where it has none.
        output_count: how many outputs each call has.
        outputs: the states given out, those of one call in a row.
        nodes_start: the first sequence number of each call's nodes.
        nodes_stop: the number after the last.
        raised: what left the calls that raised, by step.
    """

    functions: Sequence[Function]
    function: Sequence[int]
    stacks: Sequence[Stack]
    stack: Sequence[int]
    begins: Sequence[int]
    paths: Sequence[str]
    path: Sequence[int]
    before: Sequence[int]
    after: Sequence[int]
    first_output: Sequence[int]
    output_count: Sequence[int]
    outputs: Sequence[int]
    nodes_start: Sequence[int]
    nodes_stop: Sequence[int]
    raised: Mapping[int, Raised]

    def steps_of(self, test: Callable[[Function], object], before: int | None = None) -> list[int]:
        """The steps of the calls of some functions, those before a step only if one is given."""
        wanted = {number for number, function in enumerate(self.functions) if test(function)}
        if not wanted:
            return []
        function = self.function if before is None else self.function[:before]
        return [step for step, number in enumerate(function) if number in wanted]

    @cached_property
    def may_write(self) -> list[int]:
        """The steps of the calls of which an argument is in another state afterwards, or is one that is written to.

        No other call has writes, as `Trace.writes` finds them.
        """
        changed = [place for place, (old, new) in enumerate(zip(self.before, self.after, strict=True)) if old != new]
        return sorted({*self.writing, *map(self._step_of, changed)})

    @cached_property
    def writing(self) -> frozenset[int]:
        """The steps of the calls that were given an argument which the function's schema marks as changed."""
        return frozenset(self._writing())

    def _writing(self) -> Iterator[int]:
        used = set(self.path)  # most functions have an `out` that nobody gives them
        roots = {number: self.paths[number].split("[", 1)[0] for number in used}
        writes = [
            {number for number, root in roots.items() if root in function.writes} if function.writes else ()
            for function in self.functions
        ]
        for step, (number, (begin, end)) in enumerate(zip(self.function, pairwise(self.begins), strict=True)):
            written = writes[number]
            if written and not written.isdisjoint(self.path[begin:end]):
                yield step

    def seeing(self, states: Sequence[object]) -> list[int]:
        """The steps of the calls that found or left a tensor in a state for which `states` has a true value."""
        given = enumerate(zip(self.before, self.after, strict=True))
        found = {self._step_of(place) for place, (old, new) in given if states[old] or states[new]}
        outputs = self.outputs
        for step, (first, count) in enumerate(zip(self.first_output, self.output_count, strict=True)):
            if count and (states[outputs[first]] or (count > 1 and any(states[one] for one in self.outputs_of(step)))):
                found.add(step)
        return sorted(found)

    def _step_of(self, argument: int) -> int:
        """The step of the call that an argument went into, by its place in `before` and `after`."""
        return bisect_right(self.begins, argument) - 1

    def outputs_of(self, step: int) -> Sequence[int]:
        """The states that a call gave out."""
        first = self.first_output[step]
        return self.outputs[first : first + self.output_count[step]]


def call_columns(calls: Sequence[Call]) -> CallColumns:
    """The columns of a trace's calls."""
    columns: CallColumns | None = getattr(calls, "columns", None)
    return columns if columns is not None else _columns_of(calls)


def _columns_of(calls: Sequence[Call]) -> CallColumns:
    functions: dict[Function, int] = {}
    stacks: dict[Stack, int] = {}
    given = [argument for call in calls for argument in call.inputs]
    paths: dict[str, int] = {}
    begins, firsts = [0], [0]
    for call in calls:
        begins.append(begins[-1] + len(call.inputs))
        firsts.append(firsts[-1] + len(call.outputs))
    return CallColumns(
        function=[functions.setdefault(call.function, len(functions)) for call in calls],
        functions=list(functions),
        stack=[stacks.setdefault(call.stack, len(stacks)) for call in calls],
        stacks=list(stacks),
        begins=begins,
        path=[paths.setdefault(argument.path, len(paths)) for argument in given],
        paths=list(paths),
        before=[argument.before for argument in given],
        after=[argument.after for argument in given],
        first_output=firsts[:-1],
        output_count=[len(call.outputs) for call in calls],
        outputs=[state for call in calls for state in call.outputs],
        nodes_start=[call.nodes.start for call in calls],
        nodes_stop=[call.nodes.stop for call in calls],
        raised={call.step: call.raised for call in calls if call.raised is not None},
    )
