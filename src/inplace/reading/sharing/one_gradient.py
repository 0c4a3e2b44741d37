"""Leaves that were given one and the same tensor as their gradient: what is written to that of one is that of both."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator

from inplace.facts.model import Call, Kind, TensorId
from inplace.reading.sharing.kept_objects import KeptObject
from inplace.reading.trace.index import Index

_CLEARING = frozenset({"zero_", "_foreach_zero_", "fill_"})


def gradients_of_two(index: Index) -> Iterator[KeptObject]:
    """Yield, once for each line, gradients that were given to a second leaf, were written then, and used for a step.

    That both are cleared in place spoils nothing, and what is written by a name of its own is meant for both.
    """
    given: dict[TensorId, TensorId] = {}  # the gradient that each leaf was given last
    having: dict[TensorId, set[TensorId]] = defaultdict(set)  # the leaves that have it
    told: set[object] = set()
    setters = list(index.history.calls_of(lambda one: one.kind is Kind.SETTER and one.label == "grad"))
    for number, call in enumerate(setters):
        tensors = [index.trace.states[argument.before].tensor for argument in call.inputs]
        if not tensors:
            continue
        leaf, gradient = tensors[0], tensors[1] if len(tensors) > 1 else None
        if leaf in given:
            having[given.pop(leaf)].discard(leaf)
        if gradient is None:
            continue
        given[leaf] = gradient
        having[gradient].add(leaf)
        leaves = having[gradient]
        if len(leaves) > 1 and call.stack not in told:
            later = (setters[one] for one in range(number + 1, len(setters)))
            end = _given_anew(index, later, leaves)
            found = _spoiled(index, call, leaf, leaves, end)
            if found is not None:
                told.add(call.stack)
                yield found


def _given_anew(index: Index, setters: Iterable[Call], leaves: set[TensorId]) -> int:
    """The step at which one of some leaves gets another gradient; the number of calls where none does."""
    later = (one.step for one in setters if index.trace.states[one.inputs[0].before].tensor in leaves)
    return next(later, len(index.trace.calls))


def _spoiled(index: Index, keep: Call, leaf: TensorId, leaves: set[TensorId], end: int) -> KeptObject | None:
    """A write to a gradient that several leaves have, before a step that uses it for all of them."""
    gradient = index.trace.states[keep.inputs[1].after]
    writes = index.history.writes_of(gradient)
    for write in writes[bisect_right(writes, keep.step, key=lambda one: one.call.step) :]:
        if write.call.step >= end:
            return None
        text = index.spelled.text(write.call, write.argument.path)
        if write.call.function.label in _CLEARING or (text is not None and ".grad" not in text):
            continue
        moment = write.call.step, 1
        steps = (one for one in index.gradients.of("step") if moment < one.moment < (end, 0))
        user = next((one for one in steps if one.leaves is not None and leaves <= one.leaves), None)
        place = index.places.of(keep)
        reader = index.places.of_stack(user.stack, index.gradients.call_of(user)) if user is not None else None
        if place is not None and reader is not None:
            shown = f"{index.names.parameter(leaf)}.grad"
            return KeptObject(place, write.call, reader, gradient, shown, is_alone=False)
    return None
