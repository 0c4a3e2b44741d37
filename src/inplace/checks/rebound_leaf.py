"""Names that stood for a leaf and now stand for something computed from it; parameters an optimizer doesn't know."""

from __future__ import annotations

from collections.abc import Iterator

from inplace.checks.findings import Finding, ReboundLeaf
from inplace.facts.model import Call, TensorId, TensorState
from inplace.reading.code import root_of
from inplace.reading.index import Index
from inplace.reading.lineage import lineage, reads_grad
from inplace.reading.place import Place


def rebound_leaves(index: Index) -> Iterator[Finding]:
    """Yield leaves that lost their name to a tensor computed from them, where somebody then read its `.grad`."""
    for call in index.calls_of(reads_grad):
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
    names = index.source_names.get(state.tensor, [])
    for leaf in behind.leaves:
        leaf_names = index.names_of(leaf)
        shared = [name for name in names if name in leaf_names]
        maker = index.maker(state.tensor, step)
        if maker is None or not (shared or not leaf_names):
            continue
        yield ReboundLeaf(
            severity="error",
            culprits=index.places(maker),
            victim=None,
            names=tuple(dict.fromkeys([*shared, *names, *leaf_names])),
            leaf=leaf,
            now=state.tensor,
            named=bool(shared),
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
    place = index.at(frame, None)
    mentioned = {root_of(name) for name in index.names_at(place)}
    for state in index.last_states():
        names = index.names_of(state.tensor)
        if state.is_leaf or not state.requires_grad or mentioned.isdisjoint({root_of(name) for name in names}):
            continue
        maker = index.maker(state.tensor, len(index.calls))
        leaves = lineage(index, state.tensor, len(index.calls)).leaves
        if maker is not None and leaves:
            yield ReboundLeaf(
                severity="error",
                culprits=index.places(maker),
                victim=None,
                names=tuple(names),
                leaf=next(iter(leaves)),
                now=state.tensor,
            )
            return


def _unknown_to_optimizer(index: Index) -> Iterator[Finding]:
    """A parameter took the place of one that an optimizer was built over: it gets gradients that nobody applies."""
    trace = index.trace
    known = {param for optimizer in trace.optimizers for param in optimizer.params}
    reached = _reached(index)
    used = reached | _stepped(index)  # an optimizer of an earlier cell's model has nothing to do with this one
    orphans = [
        param
        for optimizer in trace.optimizers
        if not used.isdisjoint(optimizer.params)
        for param in optimizer.params
        if param not in reached and not _named_at_end(index, param)
    ]
    if not orphans:
        return
    orphan_names = {name for param in orphans for name in index.names_of(param)}
    for leaf in sorted(reached - known):
        state = index.last_state(leaf)
        if trace.tensors[leaf].type != "Parameter" or state is None or not state.requires_grad:
            continue
        call = _first_use(index, leaf)
        place = index.place(call) if call is not None else None
        if place is None:
            continue
        place = _replacement(index, place, leaf)
        yield ReboundLeaf(
            severity="warning",
            culprits=(place,),
            victim=None,
            names=tuple(dict.fromkeys([*index.names_of(leaf), *orphan_names, *index.names_at(place)])),
            leaf=orphans[0],
            now=leaf,
        )


def _replacement(index: Index, place: Place, leaf: TensorId) -> Place:
    """The assignment that put a parameter in place; `nn.Parameter(...)` itself is no recorded call."""
    code = index.code_of(place)
    if code.targets(place.position):
        return place
    for name in index.names_of(leaf):
        above = code.assignment_above(place.position, name)
        if above is not None:
            return Place(place.label, place.file, above, code.text(above), None)
    return place


def _reached(index: Index) -> set[TensorId]:
    nodes = index.trace.node_by_id
    walks = [walk for walk in index.trace.walks if walk.is_backward]
    return {leaf for walk in walks for node in walk.reached if (leaf := nodes[node].leaf) is not None}


def _stepped(index: Index) -> set[TensorId]:
    """The parameters over which an optimizer made a step, whether or not it had a gradient for them."""
    steps = index.calls_of(lambda function: function.label.endswith(".step"))
    return {index.trace.states[argument.before].tensor for call in steps for argument in call.inputs}


def _named_at_end(index: Index, tensor: TensorId) -> bool:
    end = len(index.calls)
    return any(name.tensor == tensor and name.step == end for name in index.trace.names)


def _first_use(index: Index, tensor: TensorId) -> Call | None:
    sightings = index.sightings.get(tensor, [])
    return index.calls[sightings[0][0]] if sightings else None
