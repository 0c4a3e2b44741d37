"""Parameters that were frozen when an optimizer was built, and that a line unfroze before one of its steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Act, Call, GradientAct, Kind, TensorId
from inplace.reading.trace.gradient_events import Event
from inplace.reading.trace.index import Index
from inplace.reading.trace.lineage import is_moved_by_hand, lineage

_FLAGS = frozenset({"requires_grad", "requires_grad_"})


@dataclass(frozen=True, slots=True)
class Unfrozen:
    """Parameters that the loss of an optimizer's steps depends on since `switch`, and that it has not."""

    leaves: frozenset[TensorId]
    switch: Call
    built: GradientAct


def unfrozen_leaves(index: Index) -> Iterator[Unfrozen]:
    """Yield the parameters that a line unfroze between the making and a step of an optimizer, once for each optimizer.

    Whoever switches the flag on of what the loss comes from wants it trained with the rest, unless its gradients are
    used by hand.
    """
    switched = _switched_on(index)
    if not switched:
        return
    events = index.gradients
    backwards = [one for one in events.of("backward") if one.step is not None]
    made = events.of("step")
    for act in (one for one in index.trace.acts if one.act is Act.BUILT and one.numbers):
        own = frozenset(map(TensorId, act.numbers))
        steps = [one for one in made if one.leaves is not None and own <= one.leaves]
        late = {
            leaf: call
            for leaf, call in switched.items()
            if act.step <= call.step and any(one.moment[0] >= call.step for one in steps)
        }
        last = _last_before(backwards, steps) if late else None
        reached = _reached(index, last) if last is not None else frozenset()
        found = frozenset(late) & reached
        if found and not own.isdisjoint(reached):
            yield Unfrozen(found, late[min(found)], act)


def _switched_on(index: Index) -> dict[TensorId, Call]:
    """The parameters without an optimizer that a line gave the flag for good, with the call that did."""
    found: dict[TensorId, Call] = {}
    handled = {leaf for event in index.gradients.of("read") for leaf in event.leaves or ()}
    for call in index.history.calls_of(lambda one: one.label in _FLAGS and one.kind is not Kind.GETTER):
        for argument in call.inputs[:1]:
            before, after = (index.trace.states[one] for one in (argument.before, argument.after))
            leaf = before.tensor
            if not after.requires_grad:
                found.pop(leaf, None)
            if before.requires_grad or not after.requires_grad or leaf in index.gradients.known | handled:
                continue
            if index.trace.tensors[leaf].type == "Parameter" and not is_moved_by_hand(index, leaf):
                found[leaf] = call
    return found


def _last_before(backwards: list[Event], steps: list[Event]) -> Event | None:
    """The last backward before the last of some steps."""
    behind = [one for one in backwards if one.moment < steps[-1].moment]
    return behind[-1] if behind else None


def _reached(index: Index, backward: Event) -> frozenset[TensorId]:
    """The leaves that a backward leads to, by the calls that its root was computed by."""
    call = index.trace.calls[backward.step or 0]
    if not call.inputs:
        return frozenset()
    return frozenset(lineage(index, index.trace.states[call.inputs[0].before].tensor, call.step).live)
