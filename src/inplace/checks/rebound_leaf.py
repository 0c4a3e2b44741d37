"""rebound-leaf: a name that stood for a leaf stands for a result now, or an optimizer holds a replaced parameter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inplace.checks.finding import Cure, Finding
from inplace.facts.model import Call, TensorId, TensorState
from inplace.reading.gradients import optimized, reached_leaves, reads_grad, stepped
from inplace.reading.index import Index
from inplace.reading.lineage import lineage
from inplace.reading.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ReboundLeaf(Finding):
    """A leaf that is no longer what its name stands for: its gradient is not where it is looked for.

    `how`: the name stood for the leaf and now stands for a result computed from it (`rebound`); it never stood for the
    leaf, as in `w = torch.ones(2, requires_grad=True) * 2` (`unnamed`); or a new parameter took the place of one that
    an optimizer holds (`replaced`). `leaf` is what the gradient or the optimizer is with, `now` what has the name.
    """

    kind = "rebound-leaf"
    leaf: TensorId
    now: TensorId | None
    how: Literal["rebound", "unnamed", "replaced"]

    def tensors(self) -> tuple[TensorId, ...]:
        """The leaf, and what has its name now."""
        return (self.leaf, *([self.now] if self.now is not None else []))

    def cures(self) -> tuple[Cure, ...]:
        """The leaf is updated, or the result becomes one; no change of that line mends a replaced parameter."""
        return () if self.how == "replaced" else (Cure.UPDATE_LEAF,)


def rebound_leaves(index: Index) -> Iterator[Finding]:
    """Yield leaves that lost their name to a tensor computed from them, where somebody then read its `.grad`."""
    for call in index.history.calls_of(reads_grad):
        if call.outputs:
            continue
        for argument in call.inputs:
            state = index.trace.states[argument.before]
            if state.requires_grad and not state.is_leaf:
                yield from _rebound(index, state, call.step)
    yield from _refused_by_optimizer(index)
    yield from _unknown_to_optimizer(index)


def _rebound(index: Index, state: TensorState, step: int) -> Iterator[Finding]:
    """The call that made a non-leaf, if its name stood for a leaf behind it before."""
    behind = lineage(index, state.tensor, step)
    names = index.names.given.get(state.tensor, [])
    for leaf in behind.leaves:
        leaf_names = index.names.of(leaf)
        shared = [name for name in names if name in leaf_names]
        maker = index.history.maker(state.tensor, step)
        if maker is None or not (shared or not leaf_names):
            continue
        yield ReboundLeaf(
            severity="error",
            culprits=index.places.chain(maker),
            victim=None,
            names=index.names.told(first=[*shared, *names, *leaf_names]),
            leaf=leaf,
            now=state.tensor,
            how="rebound" if shared else "unnamed",
            at=step,
        )
        return


def _refused_by_optimizer(index: Index) -> Iterator[Finding]:
    """An optimizer's constructor refused a tensor that is no leaf."""
    failure = index.trace.failure
    if failure is None or failure.type != "ValueError" or failure.stack is None or not failure.stack.frames:
        return
    frame = failure.stack.frames[0]
    if frame.entry is None or not frame.entry.endswith("__init__"):
        return
    place = index.places.at(frame, None)
    mentioned = index.names.roots(index.names.at(place))
    for state in index.history.last_states():
        names = index.names.of(state.tensor)
        if state.is_leaf or not state.requires_grad or mentioned.isdisjoint(index.names.roots(names)):
            continue
        maker = index.history.maker(state.tensor, len(index.trace.calls))
        leaves = lineage(index, state.tensor, len(index.trace.calls)).leaves
        if maker is not None and leaves:
            yield ReboundLeaf(
                severity="error",
                culprits=index.places.chain(maker),
                victim=None,
                names=tuple(names),
                leaf=next(iter(leaves)),
                now=state.tensor,
                how="rebound",
                at=len(index.trace.calls),
            )
            return


def _unknown_to_optimizer(index: Index) -> Iterator[Finding]:
    """A parameter took the place of one that an optimizer was built over: it gets gradients that nobody applies."""
    trace = index.trace
    known = optimized(index)
    reached = reached_leaves(index)
    used = reached | stepped(index)  # an optimizer of an earlier cell's model has nothing to do with this one
    orphans = [
        param
        for optimizer in trace.optimizers
        if not used.isdisjoint(optimizer.params)
        for param in optimizer.params
        if param not in reached and not _named_at_end(index, param)
    ]
    if not orphans:
        return
    orphan_names = {name for param in orphans for name in index.names.of(param)}
    for leaf in sorted(reached - known):
        state = index.history.last_state(leaf)
        if trace.tensors[leaf].type != "Parameter" or state is None or not state.requires_grad:
            continue
        call = _first_use(index, leaf)
        place = index.places.of(call) if call is not None else None
        if place is None:
            continue
        place = _replacement(index, place, leaf)
        yield ReboundLeaf(
            severity="warning",
            culprits=(place,),
            victim=None,
            names=index.names.told(first=[*index.names.of(leaf), *orphan_names], places=[place]),
            leaf=orphans[0],
            now=leaf,
            how="replaced",
            at=max((walk.step for walk in trace.walks if walk.is_backward), default=None),
        )


def _replacement(index: Index, place: Place, leaf: TensorId) -> Place:
    """The assignment that put a parameter in place; `nn.Parameter(...)` itself is no recorded call."""
    code = index.places.code(place)
    if code.targets(place.position):
        return place
    for name in index.names.of(leaf):
        above = code.assignment_above(place.position, name)
        if above is not None:
            return index.places.beside(place, above)
    return place


def _named_at_end(index: Index, tensor: TensorId) -> bool:
    end = len(index.trace.calls)
    return any(name.tensor == tensor and name.step == end for name in index.trace.names)


def _first_use(index: Index, tensor: TensorId) -> Call | None:
    sightings = index.history.sightings.get(tensor, [])
    return index.trace.calls[sightings[0][0]] if sightings else None
