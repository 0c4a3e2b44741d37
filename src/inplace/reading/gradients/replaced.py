"""Parameters that took the place of others which an optimizer goes on with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Act, Call, GradMode, Kind, TensorId
from inplace.reading.gradients.reached import reached_leaves
from inplace.reading.trace.index import Index
from inplace.reading.trace.lineage import is_made_of_result, is_moved_by_hand, lineage

# FSDP gives a module whole parameters for as long as it computes, in the place of the parts that the optimizer has.
_ASKED = 8  # last uses of a parameter that are asked how they spelled it
_SHARDED = "DTensor"


@dataclass(frozen=True, slots=True)
class Replaced:
    """A parameter that gets gradients and is in no optimizer, and one that is, and is used no more.

    `since` is how many calls had been made when an optimizer was built over the latter. It is `late` where the latter
    have been trained before: their turn may as well be over, and the former another part.
    """

    now: TensorId
    orphans: tuple[TensorId, ...]
    first_use: Call
    since: int
    late: bool


def replaced_leaves(index: Index) -> Iterator[Replaced]:
    """Yield the parameters that came while an optimizer had others, which nothing is computed from any more."""
    trace = index.trace
    built: dict[tuple[int, ...], int] = {tuple(one.params): -1 for one in trace.optimizers}
    for act in trace.acts:
        if act.act is Act.BUILT:
            built[act.numbers] = act.step
    last_steps = {act.numbers: act.step for act in trace.acts if act.act is Act.STEPPED}  # the last of each
    known = index.gradients.known
    reached = reached_leaves(index, trace.begin) | _reached_last(index)
    for leaf in sorted(reached - known):
        state, first = index.history.last_state(leaf), _first_in_graph(index, leaf)
        if state is None or not state.requires_grad or first is None:
            continue
        is_plain = trace.tensors[leaf].type != "Parameter"
        if is_plain and (not state.is_leaf or _is_used_by_hand(index, leaf)):
            continue
        if is_made_of_result(index, leaf):
            continue  # what is lost is the path to that
        going_on = [set(numbers) for numbers, step in last_steps.items() if step > first.step]
        orphans = {
            param: max(step, 0)
            for numbers, step in built.items()
            if step <= trace.tensors[leaf].first_seen
            # An optimizer that makes no step any more does nobody harm.
            and not all(own.isdisjoint(numbers) for own in going_on)
            for param in _left(index, leaf, numbers, first)
            if not is_plain or _is_spelled_alike(index, param, first, leaf)
        }
        late = not index.gradients.ended.isdisjoint(orphans)
        if orphans and not (late and _is_used_by_hand(index, leaf)):
            yield Replaced(leaf, tuple(orphans), first, min(orphans.values()), late)


def _is_spelled_alike(index: Index, param: TensorId, first: Call, leaf: TensorId) -> bool:
    """Whether the expression that a call took a leaf by is one by which it took a parameter before (`params["w"]`)."""
    paths = {one.path for one in first.inputs if index.trace.states[one.before].tensor == leaf}
    if all(index.spelled.text(first, path) is None for path in paths):
        return False
    return any(
        call.stack == first.stack
        and any(one.path in paths and index.trace.states[one.before].tensor == param for one in call.inputs)
        for call in _in_graph(index, param)[-_ASKED:]
    )


def _reached_last(index: Index) -> set[TensorId]:
    """What the last backward of each line leads to, where leaves lost their gradient since the first was looked at."""
    if not index.gradients.ended:
        return set()
    last = {event.stack: event for event in index.gradients.of("backward")}
    found: set[TensorId] = set()
    for event in last.values():
        call = index.trace.calls[event.step] if event.step is not None else None
        if call is not None and call.inputs:
            root = index.trace.states[call.inputs[0].before].tensor
            found.update(lineage(index, root, call.step).live)
    return found


def _is_used_by_hand(index: Index, leaf: TensorId) -> bool:
    """Whether a line of the user's reads the gradient of a leaf, or writes to that: no optimizer is to have it."""
    reads = (one for one in index.gradients.of("read") if one.stack.frames and one.stack.frames[0].entry is None)
    return is_moved_by_hand(index, leaf) or any(one.concerns(frozenset({leaf})) for one in reads)


def _in_graph(index: Index, tensor: TensorId) -> list[Call]:
    steps = dict.fromkeys(step for step, _ in index.history.sightings.get(tensor, ()))
    calls = [index.trace.calls[step] for step in steps]
    return [call for call in calls if call.grad_mode is GradMode.GRAD and call.function.kind is Kind.OP and call.nodes]


def _first_in_graph(index: Index, tensor: TensorId) -> Call | None:
    found = _in_graph(index, tensor)
    return found[0] if found else None


def _left(index: Index, leaf: TensorId, numbers: tuple[int, ...], first: Call) -> list[TensorId]:
    """Those of an optimizer's parameters that are left behind.

    None where all of them are and the new one has no name that is known, as in a function that is over: it may as well
    be of another model, and `not-optimized` tells of the steps.
    """
    own = [TensorId(param) for param in numbers]
    found = [one for one in own if index.trace.tensors[one].type != _SHARDED and _is_left(index, one, first)]
    is_named = any(name.tensor == leaf for name in index.trace.names)
    return found if is_named or len(found) < len(numbers) else []


def _is_left(index: Index, tensor: TensorId, first: Call) -> bool:
    """Whether a parameter is in no graph from the first use of another on, and was not seen under a name since."""
    if any(name.tensor == tensor and name.step > first.step for name in index.trace.names):
        return False  # nothing took its place
    uses = _in_graph(index, tensor)
    steps = [act.step for act in index.trace.acts if act.act is Act.STEPPED]
    # Where it was in use, a step has come since, or both may belong to one loss.
    return not uses or any(uses[-1].step < step <= first.step for step in steps)
