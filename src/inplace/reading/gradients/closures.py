"""Closures that an optimizer calls several times in one step, and whose backwards add up, since nothing clears between.

What an optimizer of PyTorch's does between two backwards shows that the closure had returned. Several backwards of one
of its calls are meant to be summed. The optimizer also shows the gradients: those that it takes are the same tensors
each time, which have been written once since it took them before.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from inplace.facts.model import Act, Kind, Stack, StackFrame, TensorId
from inplace.reading.trace.gradient_events import Event
from inplace.reading.trace.index import Index

_FEWEST = 3  # calls of one closure
_LOOKED_AT = 64  # calls behind a backward that may take the gradient
_OWN = "Optimizer.profile_hook_step"


@dataclass(frozen=True, slots=True)
class Summed:
    """A step, the backwards that its closure made in calls behind each other, and the parameters that they reach."""

    step: Event
    backwards: tuple[Event, ...]
    leaves: tuple[TensorId, ...]


def summed_in_closures(index: Index) -> Iterator[Summed]:
    """Yield the first step on each line whose closure was called several times and cleared nothing."""
    events = index.gradients
    inside = [one for one in events.in_closures if one.step is not None and one.step >= events.since]
    steps = events.of("step") if inside else []
    moments = [one.moment for one in steps]
    rows: dict[tuple[int, Stack], list[Event]] = defaultdict(list)
    for one in inside:
        place = bisect_right(moments, one.moment) - 1
        if place >= 0:
            rows[place, one.stack].append(one)
    clears = _Clears(index) if rows else None
    told: set[Stack] = set()
    for (place, stack), backwards in rows.items():
        leaves = tuple(TensorId(one) for one in steps[place].numbers if one in (backwards[0].leaves or ()))
        if stack in told or len(backwards) < _FEWEST or not leaves or clears is None:
            continue
        if not any(clears.between(one, two) for one, two in pairwise(backwards)) and _are_summed(index, backwards):
            told.add(stack)
            yield Summed(steps[place], tuple(backwards), leaves)


class _Clears:
    """What may have cleared gradients: acts, setters, and writes of the user's to what is no parameter."""

    def __init__(self, index: Index) -> None:
        self._columns = index.history.columns
        acts = [act.step for act in index.trace.acts if act.act is Act.CLEARED and not set(act.found) <= {"-"}]
        others = (one for one in index.history.writes if one.before.tensor not in index.gradients.known)
        written = (one.call.step for one in others if not _is_own(one.call.stack.frames))
        setters = self._columns.steps_of(lambda one: one.kind is Kind.SETTER)
        self._steps = sorted([*(step - 1 for step in acts), *written, *setters])

    def between(self, one: Event, two: Event) -> bool:
        """Whether one of them came between two backwards."""
        assert one.step is not None
        assert two.step is not None
        return bisect_left(self._steps, one.step) < bisect_left(self._steps, two.step)


def _are_summed(index: Index, backwards: list[Event]) -> bool:
    """Whether an optimizer took the same gradient behind each of some backwards, with one write in between."""
    found: list[dict[TensorId, int]] = []
    for one, two in zip(backwards, [*backwards[1:], None], strict=True):
        assert one.step is not None
        found.append(_taken(index, one.step + 1, two.step if two is not None else None))
    common = set.intersection(*map(set, found))
    return any(all(two[one] == at[one] + 1 for at, two in pairwise(found)) for one in common)


def _taken(index: Index, begin: int, end: int | None) -> dict[TensorId, int]:
    """The tensors that no call has made and that an optimizer took between two steps, with their versions then."""
    columns, trace = index.history.columns, index.trace
    found: dict[TensorId, int] = {}
    for step in range(begin, min(begin + _LOOKED_AT, len(columns.stack) if end is None else end)):
        if not _is_own(columns.stacks[columns.stack[step]].frames):
            continue
        for state in columns.before[columns.begins[step] : columns.begins[step + 1]]:
            one = trace.states[state]
            is_known = one.tensor in index.gradients.known or trace.tensors[one.tensor].origin is not None
            if not is_known and one.version is not None:
                found.setdefault(one.tensor, one.version)
    return found


def _is_own(frames: tuple[StackFrame, ...]) -> bool:
    """Whether an optimizer of PyTorch's made a call, and no line that it has called."""
    return bool(frames) and (frames[0].entry or "").startswith(_OWN)
