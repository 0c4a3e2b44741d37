"""Which earlier backward has freed what a later one came to: by the graphs that were looked at, and by the source."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from inplace.facts.model import Call, GraphWalk, NodeId, StackFrame
from inplace.reading.trace.definitions import keyword
from inplace.reading.trace.index import Index


def freed_by(
    index: Index, walk: GraphWalk, earlier: Sequence[Call], walks: dict[int, GraphWalk]
) -> tuple[set[NodeId], Call | None]:
    """The nodes that an earlier backward went through too, and that backward, where it has freed some of them.

    Of those whose graph was looked at, the last: the ones before it came through. The graph of a line that goes
    backward again and again is looked at in its first turn; a later turn of it has gone through what the same lines
    had made. Of others it is known only what was made before them. Who was told to keep the graph has freed nothing.
    Not every node shows that it was freed (the copy of a slice doesn't): where none of them does, one is among those
    that both went through.
    """
    starts = index.history.columns.nodes_start
    released = {node for node in walk.released if node >= 0}
    able = [call for call in earlier if not _keeps_graph(index, call)]
    known = [
        (_both(index, walk, walks[one.step], starts[one.step]), one) for one in reversed(able) if one.step in walks
    ]
    for both, call in known:
        if not released.isdisjoint(both):
            return both, call
    unknown = [call for call in able if call.step not in walks]
    for call in sorted(unknown, key=lambda one: not _went_there(index, one, released, earlier, walks)):
        before = {node for node in walk.reached if 0 <= node < starts[call.step]}
        if not released.isdisjoint(before):
            return before, call
    return next(((both, call) for both, call in known if both), (set(), None))


def _both(index: Index, walk: GraphWalk, earlier: GraphWalk, before: int) -> set[NodeId]:
    """The nodes, made before a node number, that two walks have come to; a leaf's own may be gone through again."""
    nodes = index.trace.node_by_id
    found = {node for node in earlier.reached if 0 <= node < before and nodes[node].leaf is None}
    return found.intersection(walk.reached)


def _keeps_graph(index: Index, call: Call) -> bool:
    """Whether a backward was told, by what is written there, to keep the graph."""
    node = index.places.node_of(call)
    if not isinstance(node, ast.Call):
        return False
    retained = keyword(node, "retain_graph")
    told = keyword(node, "create_graph") if retained is None else retained
    return isinstance(told, ast.Constant) and told.value is True


def _went_there(
    index: Index, call: Call, released: set[NodeId], earlier: Sequence[Call], walks: dict[int, GraphWalk]
) -> bool:
    """Whether the turn of a backward's line that was looked at went through nodes of the lines that made the freed."""
    made = {frames for node in released if (frames := _frames(index, node))}
    looked_at = [walks[one.step] for one in earlier if one.stack == call.stack and one.step in walks]
    return any(_frames(index, node) in made for walk in looked_at for node in walk.reached)


def _frames(index: Index, node: NodeId) -> tuple[StackFrame, ...]:
    """The lines of the user's at which a node was made; none where it was made before the recording."""
    step = index.trace.node_by_id[node].step
    return () if step is None else index.trace.calls[step].stack.frames
