"""custom-function: a custom function or hook edits what was lent to it, or what it has kept was edited."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inplace.checks.finding import Broken, Cure, Finding, Victim
from inplace.facts.model import Call, GraphWalk, Node, NodeId
from inplace.facts.source_code import called_name
from inplace.reading.trace.custom_endings import custom_ending, marked_results, partial_hooks
from inplace.reading.trace.definitions import Defined
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place
from inplace.reading.writes.refusals import Why, refusals
from inplace.reading.writes.saves import (
    Use,
    counted_writes,
    culprits_of,
    names_of_use,
    refused_uses,
    unseen_uses,
    writes_after,
)

_HOOKED = "BackwardHookFunction"  # what wraps the arguments and results of a module with a full backward hook
# Nodes that hand the very tensor they are given on to several inputs (`derivatives.yaml`: `grad` as it is).
_SHARING = frozenset({"AddBackward0"})
# Nodes that hand on a view of the gradient, so an edit below them still reaches the shared bytes.
_VIEWING = frozenset({"ViewBackward0", "TBackward0", "TransposeBackward0", "UnsqueezeBackward0", "SqueezeBackward1"})


_EDITS = frozenset({"save", "context", "input", "gradient"})
_REFUSED: dict[str, tuple[Cure, ...]] = {
    "marked": (Cure.UNMARKED,),
    "partial hook": (Cure.FULL_HOOK,),
    "kept number": (Cure.NUMBER_KEPT,),
    "no setup": (Cure.SETUP_CONTEXT,),
    "reentrant": (Cure.NOT_REENTRANT,),
    **dict.fromkeys(["requires grad inside", "data inside", "number inside"], (Cure.LEFT_TO_TRANSFORM,)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomFunction(Finding):
    """A custom autograd function, a hook, a checkpoint or a transformed function that broke what autograd asks of it.

    `how`: a `save` that backward refused, one on `ctx` that it read (`context`), an `input` that was not marked dirty,
    a `gradient` that another branch was given too, a `view` that it gave out and that was written, or what PyTorch
    refused (`custom_endings.py` has them). `saved` is the name under which the node keeps it, `parts` are the numbers
    and shapes of the refusal.
    """

    kind = "custom-function"
    keeps_values = True
    node: NodeId | None
    saved: str
    how: str
    parts: tuple[str, ...] = ()

    def broken(self) -> Broken | None:
        """The save of the custom function's node."""
        if self.node is None:
            return None
        return Broken(self.node, self.saved, "silent" if self.how == "context" else "stale")

    def cures(self) -> tuple[Cure, ...]:
        """Not to write, to write to a copy, or to write later; what it gives out wrongly has another cure each."""
        if self.how == "view":
            return (Cure.OUT_OF_PLACE, Cure.NO_FLAG, Cure.CLONE_BEFORE)
        if self.how not in _EDITS:
            return _REFUSED.get(self.how, (Cure.CUSTOM_ASKED,))
        if self.how == "gradient":
            return (Cure.ARGUMENT_SPARED,)
        marked = (Cure.MARKED,) if self.how == "input" else ()
        return (*marked, Cure.OUT_OF_PLACE, Cure.NO_FLAG, Cure.CLONE_BEFORE, Cure.BEHIND_BACKWARD)


def custom_functions(index: Index) -> Iterator[Finding]:
    """Yield what went wrong around custom functions and hooks: refused saves first."""
    yield from edited_saves(index)
    yield from edited_inputs(index)
    yield from edited_gradients(index)
    yield from written_views(index)
    told = [(place, name, "marked") for place, name in marked_results(index)]
    told += [(place, name, "partial hook") for place, name in partial_hooks(index)]
    for place, name, how in told:
        yield CustomFunction(
            severity="warning",
            culprits=(place,),
            victim=None,
            names=(name,),
            node=None,
            saved="",
            how=how,
            at=len(index.trace.calls),
        )
    refused = custom_ending(index)
    if refused is not None:
        yield CustomFunction(
            severity="error",
            culprits=refused.places,
            victim=Victim.at(refused.victim),
            names=refused.names,
            node=None,
            saved="",
            how=refused.how,
            parts=refused.parts,
            at=len(index.trace.calls),
        )


def written_views(index: Index) -> Iterator[Finding]:
    """Yield refused writes to a view that a custom function gave out, as the full backward hook of a module does."""
    for one in refusals(index, Why.CUSTOM_VIEW):
        call = one.write.call
        module = [] if call.module is None else [index.trace.modules[call.module]]
        raised = "" if call.raised is None else call.raised.message
        yield CustomFunction(
            severity="error",
            culprits=index.places.chain(call),
            victim=None,
            names=index.names.told(first=one.names(index), last=module),
            node=None,
            saved="",
            how="view",
            parts=("hook",) if _HOOKED in raised else (),
        )


def edited_saves(index: Index) -> Iterator[Finding]:
    """Yield saves of custom functions that a backward refused, then those on `ctx` that it read with other values."""
    found: dict[object, Finding] = {}
    for one in refused_uses(index):
        if one.is_of_custom:
            culprits = culprits_of(index, counted_writes(index, one) or writes_after(index, one))
            finding = _edited_save(index, one, culprits, "save")
            found.setdefault(finding.told_by(index.trace), finding)
    for one, unseen in unseen_uses(index):
        if one.node.custom and not one.saved.counted:
            finding = _edited_save(index, one, culprits_of(index, unseen.writes, unseen.changes), "context")
            found.setdefault((finding.told_by(index.trace), finding.how), finding)
    yield from found.values()


def _edited_save(
    index: Index, one: Use, culprits: tuple[Place, ...], how: Literal["save", "context"]
) -> CustomFunction:
    place = index.place_of_node(one.node.id)
    return CustomFunction(
        severity="error" if how == "save" else "warning",
        culprits=culprits,
        victim=Victim.at(place, one.node.name),
        names=names_of_use(index, one, culprits, place),
        node=one.node.id,
        saved=one.saved.name,
        how=how,
        at=one.walk.step,
    )


def edited_inputs(index: Index) -> Iterator[Finding]:
    """Yield writes that a custom function's forward makes to an input without `mark_dirty`.

    Autograd isn't told: earlier nodes that saved the input aren't refused, and later ones don't see this node.
    A tensor that was marked has the custom function's node as its `grad_fn` afterwards.
    """
    told: set[tuple[Place, ...]] = set()
    ending = index.ending
    unfinished = f"{ending.failure.custom}.forward" if ending is not None and ending.failure.custom else None
    for write in index.history.writes:
        frame = index.places.apply_frame(write.call)
        if unfinished is not None and index.places.site(write.call.stack.frames[0]).function.endswith(unfinished):
            continue  # `apply` raised: what it marked was not looked at
        if frame is None or not write.before.requires_grad or write.before.is_leaf or write.call.raised is not None:
            continue
        earlier_first = index.history.calls_at(range(write.call.step, -1, -1))
        begun = next((call.step for call in earlier_first if index.places.apply_frame(call) != frame), -1)
        seen = index.history.sightings[write.before.tensor]
        earlier = [step for step, _ in seen if step <= begun]
        after = [index.trace.states[state] for step, state in seen if step > write.call.step]
        outside = [state for state in after if state.node not in {None, write.before.node}]
        if not after and _marks(index, write.call):
            continue  # whether it was heeded shows in the tensor, which nobody has met again
        culprits = index.places.chain_of(write.call.stack, write.call.step)
        if not earlier or outside or culprits in told:
            continue
        told.add(culprits)
        victim = Victim(index.places.at(frame, None), "")
        yield CustomFunction(
            severity="warning",
            culprits=culprits,
            victim=victim,
            names=index.names.told(places=[*culprits, victim.place], storage=write.before.storage),
            node=None,
            saved="",
            how="input",
        )


def _marks(index: Index, call: Call) -> bool:
    """Whether the forward that a call was made in marks something as dirty."""
    site = index.places.site(call.stack.frames[0])
    function = index.places.codes[site.source].source_code.function_around(site.position)
    return function is not None and bool(index.definitions.calls_in(Defined(site.source, function), "mark_dirty"))


def edited_gradients(index: Index) -> Iterator[Finding]:
    """Yield in-place edits of a gradient, in a hook or a custom backward, that another branch reads afterwards.

    Where a node gave one gradient to two branches, the branch whose nodes were made later runs first, and what it
    writes is what the other one reads.
    """
    told: set[tuple[Place, ...]] = set()
    for write in index.history.writes:
        call = write.call
        if call.within is None or call.raised is not None or not _is_lent(index, write, call.within):
            continue
        walk = next((walk for walk in index.trace.walks if walk.is_backward and walk.step == call.within), None)
        edited = _edited(index, walk, call) if walk is not None else None
        culprits = index.places.chain(call)
        if walk is None or edited is None or culprits in told or not _read_later(index, walk, edited):
            continue
        told.add(culprits)
        yield _edit(index, write, culprits, edited)


def _is_lent(index: Index, write: Write, backward: int) -> bool:
    """Whether no call has made what is written, or it is the gradient that a backward was begun with."""
    given = index.trace.calls[backward].inputs[1:]
    begun = {index.trace.states[one.before].tensor for one in given}
    return index.trace.tensors[write.before.tensor].origin is None or write.before.tensor in begun


def _edit(index: Index, write: Write, culprits: tuple[Place, ...], node: Node) -> CustomFunction:
    made = index.place_of_node(node.id)
    return CustomFunction(
        severity="warning",
        culprits=culprits,
        victim=None,
        names=index.names.told(places=[*culprits, made], storage=write.before.storage),
        node=node.id,
        saved="grad_output",
        how="gradient",
    )


def _edited(index: Index, walk: GraphWalk, call: Call) -> Node | None:
    """The node whose incoming gradient a call inside a backward edits: a custom function's, or a hooked tensor's."""
    nodes = [index.trace.node_by_id[node] for node in walk.reached]
    site = index.places.site(call.stack.frames[0]) if call.stack.frames else None
    if site is None:
        return None
    parts = site.function.split(".")
    if parts[-1] == "backward" and len(parts) > 1:
        return next((node for node in nodes if node.custom and node.name == f"{parts[-2]}Backward"), None)
    hooked = _hooked_at(index, call, parts, site.position.line)
    return next((node for node in nodes if node.id == hooked), None)


def _hooked_at(index: Index, call: Call, function: list[str], line: int) -> int | None:
    """The node of the tensor whose `register_hook` was given the function that a line lies in, by its qualified name.

    It is named there, made there by the function or class that it is in, or an object that was made elsewhere.
    """
    for earlier in index.history.calls_of(lambda one: one.label == "register_hook", call.step):
        if not earlier.inputs:
            continue
        place = index.places.of(earlier)
        if place is None:
            continue
        inline = place.position.line <= line <= place.position.end_line
        is_named = not {*function}.isdisjoint(index.places.code(place).roots(place.position))
        if inline or is_named or (function[-1] == "__call__" and _is_object_of(index, place, function[-2])):
            return index.trace.states[earlier.inputs[0].before].node
    return None


def _is_object_of(index: Index, place: Place, name: str) -> bool:
    """Whether a call is given a variable or attribute that the source gives an object of a class, by that's name."""
    node = index.places.code(place).source_code.node(place.position)
    given = [ast.unparse(one) for one in node.args] if isinstance(node, ast.Call) else []
    return any(
        isinstance(one, ast.Assign)
        and isinstance(one.value, ast.Call)
        and called_name(one.value) == name
        and any(ast.unparse(target) in given for target in one.targets)
        for code in index.places.codes
        for one in code.source_code.simple_statements
    )


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
