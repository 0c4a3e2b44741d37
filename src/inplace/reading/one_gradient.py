"""Leaves that were given one and the same tensor as their gradient: what is written to that of one is that of both."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from inplace.facts.model import Call, Kind, TensorId
from inplace.reading.index import Index
from inplace.reading.kept_objects import KeptObject

_CLEARING = frozenset({"zero_", "_foreach_zero_", "fill_"})


def gradients_of_two(index: Index) -> Iterator[KeptObject]:
    """Yield, once for each line, gradients that were given to a second leaf, were written then, and used for a step.

    That both are cleared in place spoils nothing, and what is written by a name of its own is meant for both.
    """
    given: dict[TensorId, Call] = {}  # the line that gave each leaf the gradient that it has
    told: set[object] = set()
    setters = list(index.history.calls_of(lambda one: one.kind is Kind.SETTER and one.label == "grad"))
    for number, call in enumerate(setters):
        states = [index.trace.states[argument.before] for argument in call.inputs]
        if not states:
            continue
        leaf = states[0].tensor
        shared = [
            other
            for other, one in given.items()
            if other != leaf and len(states) > 1 and _value(index, one) == states[1].tensor
        ]
        given.pop(leaf, None)
        if len(states) > 1:
            given[leaf] = call
        if shared and call.stack not in told:
            end = _given_anew(index, setters[number + 1 :], {leaf, *shared})
            found = _spoiled(index, call, leaf, {leaf, *shared}, end)
            if found is not None:
                told.add(call.stack)
                yield found


def _value(index: Index, call: Call) -> TensorId:
    return index.trace.states[call.inputs[1].before].tensor


def _given_anew(index: Index, setters: list[Call], leaves: set[TensorId]) -> int:
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
