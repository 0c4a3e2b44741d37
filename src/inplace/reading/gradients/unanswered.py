"""Requests for gradients that PyTorch refused, or answered with none: what was asked of which tensor, and why not."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from inplace.facts.model import Call, Kind, TensorId, TensorState
from inplace.reading.gradients.leaf_behind import leaf_behind
from inplace.reading.gradients.refused_lines import refused_at_line
from inplace.reading.gradients.requests import REAL, Unanswered, made_by, never_required
from inplace.reading.trace.gradient_events import reads_grad
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place


def unanswered(index: Index) -> Unanswered | None:
    """Why the request for a gradient was refused with which the recorded code ended, if it was one."""
    failure = index.trace.failure
    if failure is None or failure.stack is None or not failure.stack.frames:
        return None
    ending = index.ending
    if ending is not None and ending.call is not None:
        return _of_call(index, ending.call)
    return refused_at_line(index, failure)


def _of_call(index: Index, call: Call) -> Unanswered | None:
    label, place = call.function.label, index.places.of(call)
    states = [index.trace.states[argument.before] for argument in call.inputs]
    if not states or place is None:
        return None
    first, after, here = states[0], index.trace.states[call.inputs[0].after], index.places.chain(call)
    if call.function.kind is Kind.BACKWARD:
        return _of_backward(index, call, place)
    if label in {"requires_grad", "requires_grad_"} and first.creation != "inference":
        if not first.layout.dtype.removeprefix("torch.").startswith(REAL):
            return Unanswered("integer", here, None, (first.tensor,))
        return None if first.is_leaf else Unanswered("result", here, None, (first.tensor,))
    if label == "register_hook" and not first.requires_grad:
        return never_required(index, first.tensor, call.step, place)
    room = [state for argument, state in zip(call.inputs, states, strict=True) if argument.path.startswith("out")]
    if room and any(state.requires_grad and state.is_leaf for state in room):
        return None  # that is a leaf which was to be written
    if room and any(state.requires_grad for state in states):
        return Unanswered("out", here, None, tuple(state.tensor for state in states))
    if after.creation == "no_grad_mode" and is_single_view(index, first, call.step):
        return Unanswered("view", here, None, (first.tensor,))
    if label == "__deepcopy__" and first.requires_grad and not first.is_leaf:
        return made_by(index, "copied", first, call.step, place)
    return None


def is_single_view(index: Index, state: TensorState, step: int) -> bool:
    """Whether a tensor is the one view that a call gave out, of a tensor that is no leaf with a gradient."""
    givers = [one for one in index.history.givers.get(state.tensor, ()) if one < step]
    base = index.history.last_state(state.base) if state.base is not None else None
    of_leaf = base is not None and base.is_leaf and base.requires_grad
    return bool(givers) and len(index.trace.calls[givers[0]].outputs) == 1 and not of_leaf


def _of_backward(index: Index, call: Call, place: Place) -> Unanswered | None:
    walk = next((one for one in index.trace.walks if one.is_backward and one.step == call.step), None)
    nodes = index.trace.node_by_id
    root = index.trace.states[call.inputs[0].before]
    if walk is None or not root.requires_grad:
        return None
    roots = [index.trace.states[one.before] for one in call.inputs if one.path.split("[")[0] in {"0", "tensors"}]
    lost = next((state for state in roots if not state.requires_grad), None)
    if lost is not None:
        return never_required(index, lost.tensor, call.step, place)
    failure = index.trace.failure
    if failure is not None and failure.type == "NotImplementedError":
        begun = [node for node in walk.released if node >= 0]
        made = index.place_of_node(min(begun)) if begun else None
        return Unanswered("no formula", (made,), place, _tensors_of(index, min(begun))) if made is not None else None
    if call.function.label == "grad":
        reached = {leaf for node in walk.reached if (leaf := nodes[node].leaf) is not None}
        for argument in call.inputs:
            state = index.trace.states[argument.before]
            asked = argument.path.startswith(("1", "inputs"))
            if asked and not state.requires_grad and (plain := never_required(index, state.tensor, call.step, place)):
                return plain
            if asked and state.tensor not in reached and state.node not in walk.reached:
                found = made_by(index, "unused", state, call.step, place)
                return found or Unanswered("unused", index.places.chain(call), None, (state.tensor,))
        return None
    if any(argument.path.startswith("inputs") for argument in call.inputs):
        return None
    empty = _empty_inputs(index, place)
    return Unanswered("no inputs", (empty,), place, ()) if empty is not None and not walk.released else None


def _tensors_of(index: Index, node: int) -> tuple[TensorId, ...]:
    return tuple(dict.fromkeys(state.tensor for state in index.trace.states if state.node == node))


def _empty_inputs(index: Index, place: Place) -> Place | None:
    """Where the tensors were collected to which a backward was told to go; the backward itself, if it says it there."""
    code = index.places.code(place)
    node = code.source_code.node(place.position)
    if not isinstance(node, ast.Call):
        return None
    given = next((one.value for one in node.keywords if one.arg == "inputs"), None)
    if given is None:
        return None
    above = code.assignment_above(place.position, ast.unparse(given))
    return index.places.beside(place, above) if above is not None else place


def reads_of_results(index: Index) -> Iterator[Unanswered]:
    """Yield the reads of the gradient of a computed tensor, which has none unless it was told to keep it."""
    for call in index.history.calls_of(reads_grad):
        state = index.trace.states[call.inputs[0].before] if call.inputs and not call.outputs else None
        place = index.places.of(call)
        if state is None or place is None or not state.requires_grad or state.is_leaf:
            continue
        if leaf_behind(index, state, call.step) is None:
            made = index.history.maker(state.tensor, call.step)
            victim = index.places.of(made) if made is not None else None
            yield Unanswered("result", (place,), victim, (state.tensor,), raised=False)
