"""freed-graph: a backward came to what an earlier one was done with: freed nodes, or a parameter that DDP had counted.

NOTE [ Ready twice ]
`DistributedDataParallel` counts each parameter once in a backward, and reduces its gradient then. Where a reentrant
checkpoint hides the graph of a part, its parameters count as unused, and so as done, before the backward within comes
to them; where two checkpoints run the same part, the second comes to them again (`reducer.cpp`, `mark_variable_ready`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from inplace.checks.finding import Cure, Finding, Victim
from inplace.facts.model import Call, GraphWalk, Kind, NodeId, TensorId
from inplace.reading.gradients.freed_by import freed_by
from inplace.reading.source.code import root_of
from inplace.reading.trace.history import SET_ITEM
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place
from inplace.reading.writes.saves import refused_uses

_MOST = 4  # shared tensors looked for
_COUNTED = re.compile(r"with name (\S+) has been marked as ready twice")


@dataclass(frozen=True, slots=True, kw_only=True)
class FreedGraph(Finding):
    """A backward that raised because what it needs was freed, or counted (`ready`); the victim is that backward.

    The culprits are the backward that freed it and the line that made the shared part, in this order where the two
    backwards are different lines (`turns` is False), in the other where they are turns of one line. Where parameters
    had been counted, they are the lines that used those. With `again` the two are one line of a cell that was run
    again, and the shared part was made by the run before of that cell (`carried`) or by another cell.
    """

    kind = "freed-graph"
    shared: tuple[TensorId, ...]
    turns: bool
    ready: bool = False
    again: Literal["carried", "other"] | None = None

    def tensors(self) -> tuple[TensorId, ...]:
        """The tensors at which the freed part begins."""
        return self.shared

    def cures(self) -> tuple[Cure, ...]:
        """What is carried is detached; else one of two backwards stops at what they share, or the first keeps it."""
        if self.ready:
            return (Cure.NOT_REENTRANT,)
        if self.again is not None:  # to keep the graph would add its gradient with each run
            return (Cure.CARRIED_DETACHED,) if self.again == "carried" else ()
        return (Cure.CARRIED_DETACHED,) if self.turns else (Cure.USE_DETACHED, Cure.CREATE_GRAPH, Cure.RETAIN_GRAPH)


def freed_graphs(index: Index) -> Iterator[Finding]:
    """Yield the backwards that raised since nodes before them had lost what they saved."""
    backwards = list(index.history.calls_of(lambda function: function.kind is Kind.BACKWARD))
    stale = {one.walk.step for one in refused_uses(index)}
    walks = {walk.step: walk for walk in index.trace.walks if walk.is_backward}
    for number, call in enumerate(backwards):
        walk = walks.get(call.step)
        if call.raised is None or walk is None or call.step in stale:
            continue
        earlier = [one for one in backwards[:number] if one.within is None]
        both, by = freed_by(index, walk, earlier, walks)
        if by is not None:
            yield _finding(index, call, by, _top(index, walk, both))
    yield from _read_late(index, backwards)
    yield from _ready_twice(index, backwards)


def _ready_twice(index: Index, backwards: Sequence[Call]) -> Iterator[Finding]:
    """A backward in which DDP came to a parameter that it had counted: the lines that used that in the forward."""
    failure = index.trace.failure
    raised = [call for call in backwards if call.raised is not None and call.within is None]
    said = _COUNTED.search(failure.message) if failure is not None else None
    if said is None or not raised:
        return
    states, outer = index.trace.states, raised[-1]
    parameters = {
        state.tensor: index.names.of(state.tensor)
        for state in index.history.last_states()
        if index.trace.tensors[state.tensor].type == "Parameter"
    }
    counted = [one for one, names in parameters.items() if any(name.endswith(said[1]) for name in names)]
    users = [call for one in counted for call in index.gradients.uses(one, any_mode=True) if call.within is None]
    users = [call for call in users if call.outputs and call.step < outer.step and not _is_inside(call)]
    places = {place.spot: place for call in users for place in index.places.chain(call)}
    if places:
        # Both are called as DDP calls them too, which has the module that it was given as `module`.
        together = {states[one.before].tensor for call in users for one in call.inputs} & parameters.keys()
        tensors = [*counted, *sorted(together)]
        named = [name for one in tensors for name in parameters[one]]
        yield FreedGraph(
            severity="error",
            culprits=tuple(places.values())[:_MOST],
            victim=Victim.at(index.places.of(outer)),
            names=index.names.told(tensors=tensors, last=[name.rpartition(".module.")[2] for name in named]),
            shared=tuple(counted),
            turns=False,
            ready=True,
        )


def _is_inside(call: Call) -> bool:
    """Whether a call was made while an object was built, DDP itself among them."""
    return any(frame.builds for frame in call.stack.frames)


def _read_late(index: Index, backwards: Sequence[Call]) -> Iterator[Finding]:
    """A line that reads what a node had saved (`y.grad_fn._saved_result`) and failed, since a backward had freed it."""
    failure = index.trace.failure
    if failure is None or failure.stack is None or not failure.stack.frames or failure.type != "RuntimeError":
        return
    place = index.places.at(failure.stack.frames[0], None)
    code = index.places.code(place)
    read = code.saved_reads(place.position)
    walk = next((walk for walk in index.trace.walks if not walk.is_backward), None)
    freed = [node for node in walk.released if node >= 0] if walk is not None else []
    roots = {*read}
    for state in index.history.last_states():
        if state.node in freed and not roots.isdisjoint(index.names.roots(index.names.of(state.tensor))):
            by = [call for call in backwards if call.raised is None]
            yield FreedGraph(
                severity="error",
                culprits=index.places.chain(by[-1]) if by else (place,),
                victim=Victim.at(place),
                names=index.names.told(tensors=[state.tensor]),
                shared=(state.tensor,),
                turns=False,
            )
            return


def _finding(index: Index, call: Call, by: Call, top: Sequence[NodeId]) -> FreedGraph:
    shared = tuple(dict.fromkeys(tensor for node in top if (tensor := _tensor_of(index, node)) is not None))
    made = [place for node in top if (place := index.place_of_node(node)) is not None]
    second, first = index.places.of(call), index.places.of(by)
    turns = first is not None and second is not None and first.spot == second.spot
    by_places = index.places.chain(by)
    culprits = (*made[:1], *by_places) if turns else (*by_places, *made[:1])
    carried = list(_carried(index, shared, by.step))
    assigned = [name for place in made[:1] for name in _assigned(index, place)]
    used_again = index.names.at(*carried)
    return FreedGraph(
        severity="error",
        culprits=tuple({place.spot: place for place in culprits}.values()),
        victim=Victim.at(second),
        names=index.names.told(
            first=[name for name in assigned if name in used_again] or assigned,
            tensors=shared,
            places=[*carried, *made[:1], second],
        ),
        shared=shared,
        turns=turns,
        again=None if turns else _again(index, second, first, made),
    )


def _assigned(index: Index, place: Place) -> list[str]:
    """What a line gave its result to; of `image[0] = w` it is the image that has the graph then."""
    names = index.places.code(place).assigned_from(place.position)
    is_write = place.step is not None and index.trace.calls[place.step].function.label == SET_ITEM
    return [root_of(name) if is_write and name.endswith("]") else name for name in names]


def _again(
    index: Index, second: Place | None, first: Place | None, made: Sequence[Place]
) -> Literal["carried", "other"] | None:
    """Whether two backwards are one line in two runs of a cell, and whether its run before made what they share."""
    if first is None or second is None or not index.places.are_one_line(first, second):
        return None
    return "carried" if made and index.places.are_in_one_source(made[0], second) else "other"


def _top(index: Index, walk: GraphWalk, both: set[NodeId]) -> list[NodeId]:
    """The shared nodes that backward meets first, of those that lead to a freed one."""
    nodes = index.trace.node_by_id
    below = {edge.node for node in both for edge in nodes[node].edges}
    first = both - below
    return sorted(first & _leading_to(index, walk) or first, reverse=True)[:_MOST]


def _leading_to(index: Index, walk: GraphWalk) -> set[NodeId]:
    """The nodes of a walk that a freed one can be reached from, and the freed ones themselves."""
    users: dict[NodeId, list[NodeId]] = defaultdict(list)
    for node in walk.reached:
        if node in index.trace.node_by_id:
            for edge in index.trace.node_by_id[node].edges:
                users[edge.node].append(node)
    found = set(walk.released)
    left = list(found)
    while left:
        new = [user for user in users[left.pop()] if user not in found]
        found.update(new)
        left += new
    return found


def _tensor_of(index: Index, node: NodeId) -> TensorId | None:
    """The tensor that a node gave out."""
    states, step = index.trace.states, index.trace.node_by_id[node].step
    if step is None:
        using = (one for call in index.trace.calls if call.within is None for one in call.inputs)
        return next((states[one.before].tensor for one in using if states[one.before].node == node), None)
    given = index.trace.calls[step]
    made = [*given.outputs, *(one.after for one in given.inputs)]
    return next((states[state].tensor for state in made if states[state].node == node), None)


def _carried(index: Index, shared: Sequence[TensorId], since: int) -> Iterator[Place]:
    """Where the shared tensors went into a call again after the first backward."""
    for tensor in shared:
        later = [step for step, _ in index.history.sightings.get(tensor, ()) if step > since]
        place = index.places.of(index.trace.calls[later[0]]) if later else None
        if place is not None:
            yield place
