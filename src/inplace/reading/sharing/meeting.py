"""Whether what a module gives under one name meets what it gives under another, and has no gradients there."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from inplace.facts.model import Call, TensorId, TensorState
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index

_FOLLOWED = 4096  # calls in which two results are followed


def meeting(index: Index, ones: Sequence[int], others: Sequence[int], writes: Sequence[Write]) -> Call | None:
    """The first call that takes results of both kinds of calls, of which only the one kind had no gradients.

    Both are made between two of some writes.

    Args:
        index: of the trace.
        ones: the steps of the calls under the one name, in order.
        others: those under the other.
        writes: what moves the module, in order.
    """
    steps = [write.call.step for write in writes]
    for step in ones:
        place = bisect_left(steps, step)
        begin = steps[place - 1] if place else -1
        end = steps[place] if place < len(steps) else len(index.trace.calls)
        near = bisect_left(others, begin)
        if near < len(others) and others[near] < end:
            first = min(step, others[near])
            return _met(index, (set(ones), set(others)), first, min(end, first + _FOLLOWED))
    return None


def _met(index: Index, kinds: tuple[set[int], set[int]], first: int, end: int) -> Call | None:
    columns, tensors = index.history.columns, index.history.tensors_by_state
    behind: tuple[set[TensorId], set[TensorId]] = (set(), set())  # what was made of each kind's results
    for step in range(first, end):
        states = columns.before[columns.begins[step] : columns.begins[step + 1]]
        given = {tensors[state]: index.trace.states[state] for state in states}
        of = [step in kind or not own.isdisjoint(given) for kind, own in zip(kinds, behind, strict=True)]
        if all(of) and not any(step in kind for kind in kinds):
            needs = [any(given[one].requires_grad for one in own.intersection(given)) for own in behind]
            return index.trace.calls[step] if needs[0] is not needs[1] else None
        # An index or an action that was chosen by the one is no result of it.
        made = [state for state in columns.outputs_of(step) if _is_real(index.trace.states[state])]
        for number in (0, 1):
            if of[number]:
                behind[number].update(tensors[state] for state in made)
    return None


def _is_real(state: TensorState) -> bool:
    return state.layout.dtype.startswith(("float", "bfloat", "complex"))
