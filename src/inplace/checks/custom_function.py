"""Custom autograd functions and hooks that edit what was only lent to them."""

from __future__ import annotations

from collections.abc import Iterator

from inplace.checks.findings import CustomFunction, Finding, Victim
from inplace.facts.model import Call, GraphWalk, Node
from inplace.reading.history import Write
from inplace.reading.index import Index
from inplace.reading.place import Place

# Nodes that hand the very tensor they are given on to several inputs (`derivatives.yaml`: `grad` as it is).
_SHARING = frozenset({"AddBackward0"})
# Nodes that hand on a view of the gradient, so an edit below them still reaches the shared bytes.
_VIEWING = frozenset({"ViewBackward0", "TBackward0", "TransposeBackward0", "UnsqueezeBackward0", "SqueezeBackward1"})


def edited_inputs(index: Index) -> Iterator[Finding]:
    """Yield writes that a custom function's forward makes to an input without `mark_dirty`.

    Autograd isn't told: earlier nodes that saved the input aren't refused, and later ones don't see this node.
    A tensor that was marked has the custom function's node as its `grad_fn` afterwards.
    """
    told: set[tuple[Place, ...]] = set()
    for write in index.writes:
        frame = index.apply_frame(write.call)
        if frame is None or not write.before.requires_grad or write.before.is_leaf or write.call.raised is not None:
            continue
        earlier_first = index.calls_at(range(write.call.step, -1, -1))
        begun = next((call.step for call in earlier_first if index.apply_frame(call) != frame), -1)
        seen = index.sightings[write.before.tensor]
        earlier = [step for step, _ in seen if step <= begun]
        after = [index.trace.states[state] for step, state in seen if step > write.call.step]
        outside = [state for state in after if state.node not in {None, write.before.node}]
        culprits = index.places_of(write.call.stack, write.call.step)
        if not earlier or outside or culprits in told:
            continue
        told.add(culprits)
        victim = Victim(index.at(frame, None), "")
        names = [*index.names_at(*culprits, victim.place), *index.names_over(write.before.storage)]
        yield CustomFunction(
            severity="warning",
            culprits=culprits,
            victim=victim,
            names=tuple(dict.fromkeys(names)),
            node=None,
            saved="",
            silent=True,
        )


def edited_gradients(index: Index) -> Iterator[Finding]:
    """Yield in-place edits of a gradient, in a hook or a custom backward, that another branch reads afterwards.

    Where a node gave one gradient to two branches, the branch whose nodes were made later runs first, and what it
    writes is what the other one reads.
    """
    told: set[tuple[Place, ...]] = set()
    for write in index.writes:
        call = write.call
        if (
            call.within is None
            or index.trace.tensors[write.before.tensor].origin is not None
            or call.raised is not None
        ):
            continue
        walk = next((walk for walk in index.trace.walks if walk.is_backward and walk.step == call.within), None)
        edited = _edited(index, walk, call) if walk is not None else None
        culprits = index.places(call)
        if walk is None or edited is None or culprits in told or not _read_later(index, walk, edited):
            continue
        told.add(culprits)
        yield _edit(index, write, culprits, edited)


def _edit(index: Index, write: Write, culprits: tuple[Place, ...], node: Node) -> CustomFunction:
    made = index.place_of_node(node.id)
    names = [*index.names_at(*culprits, made), *index.names_over(write.before.storage)]
    return CustomFunction(
        severity="warning",
        culprits=culprits,
        victim=None,
        names=tuple(dict.fromkeys(names)),
        node=node.id,
        saved="grad_output",
        silent=True,
    )


def _edited(index: Index, walk: GraphWalk, call: Call) -> Node | None:
    """The node whose incoming gradient a call inside a backward edits: a custom function's, or a hooked tensor's."""
    nodes = [index.trace.node_by_id[node] for node in walk.reached]
    site = index.site(call.stack.frames[0]) if call.stack.frames else None
    if site is None:
        return None
    parts = site.function.split(".")
    if parts[-1] == "backward" and len(parts) > 1:
        return next((node for node in nodes if node.custom and node.name == f"{parts[-2]}Backward"), None)
    hooked = _hooked_at(index, call, parts[-1], site.position.line)
    return next((node for node in nodes if node.id == hooked), None)


def _hooked_at(index: Index, call: Call, function: str, line: int) -> int | None:
    """The node of the tensor whose `register_hook` was given the function that a line lies in."""
    for earlier in index.calls_of(lambda one: one.label == "register_hook", call.step):
        if not earlier.inputs:
            continue
        place = index.place(earlier)
        if place is None:
            continue
        inline = place.position.line <= line <= place.position.end_line
        if inline or (function != "<lambda>" and function in index.code_of(place).roots(place.position)):
            return index.trace.states[earlier.inputs[0].before].node
    return None


def _read_later(index: Index, walk: GraphWalk, edited: Node) -> bool:
    """Whether another branch was given the same gradient and runs after the one that edited it."""
    nodes = [index.trace.node_by_id[node] for node in walk.reached]
    queue, seen = [edited], {edited.id}
    while queue:
        below = queue.pop()
        for node in nodes:
            if all(edge.node != below.id for edge in node.edges) or node.id in seen:
                continue
            seen.add(node.id)
            others = [edge.node for edge in node.edges if edge.node != below.id]
            if node.name in _SHARING and any(other < edited.id for other in others):
                return True
            if node.name in _VIEWING:
                queue.append(node)
    return False
