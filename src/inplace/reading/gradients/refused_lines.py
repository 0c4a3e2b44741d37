"""Requests for gradients that were refused where no recorded call was made: what the line that failed has asked for."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace

from inplace.facts.model import Call, Failure, Kind, TensorId, TensorState
from inplace.reading.gradients.reached import reached_leaves
from inplace.reading.gradients.requests import REAL, Unanswered, made_by, never_required
from inplace.reading.trace.gradient_events import reads_grad
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_CONTAINERS = (ast.List, ast.ListComp, ast.Tuple, ast.Dict, ast.DictComp, ast.GeneratorExp)


def refused_at_line(index: Index, failure: Failure) -> Unanswered | None:
    """Why the line refused a gradient with which the recorded code ended."""
    assert failure.stack is not None
    frame, end = failure.stack.frames[0], len(index.trace.calls)
    place, entry = index.places.at(frame, None), frame.entry or ""
    asked = _asked_of(index, place)
    if entry.endswith("Parameter.__new__"):
        found = [one for one in asked if not one.layout.dtype.removeprefix("torch.").startswith(REAL)]
        return Unanswered("integer", (place,), None, tuple(one.tensor for one in found)) if found else None
    if index.ending is not None and index.ending.what == "no parameters":
        return _no_parameters(index, place)
    if index.ending is not None and index.ending.what == "unreduced":
        return _unreduced(index, len(index.ending.parts[0].split()), place)
    called = _method(index, place)
    method = called.attr if called is not None else None
    if method == "retain_grad" and asked and not asked[0].requires_grad:
        return never_required(index, asked[0].tensor, end, place)
    if method == "register_post_accumulate_grad_hook" and asked and not asked[0].is_leaf:
        return made_by(index, "hooked", asked[0], end, place)
    if entry == "GradScaler.step":
        return _never_reached(index, place)
    if failure.type == "RuntimeError":
        return _written_below(index, place)
    return _none_read(index, failure, place)


def _method(index: Index, place: Place) -> ast.Attribute | None:
    """The method that a place calls."""
    node = index.places.code(place).source_code.node(place.position)
    return node.func if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None


def _asked_of(index: Index, place: Place) -> list[TensorState]:
    """The tensors that a line mentions, as they were last; in front the one whose method it calls, if known."""
    called = _method(index, place)
    receiver = ast.unparse(called.value) if called is not None else None
    asked = {state.tensor for path, state in _there(index) if path == receiver}
    return sorted(_mentioned(index, place), key=lambda state: (state.tensor not in asked, -state.tensor))


def _mentioned(index: Index, place: Place) -> list[TensorState]:
    """The tensors that a line mentions by a variable, or by an attribute of one when it failed, as they were last."""
    mentioned, there = index.names.at(place), {state.tensor for _, state in _there(index)}
    return [
        state
        for state in index.history.last_states()
        if state.tensor in there or not set(index.names.of(state.tensor)).isdisjoint(mentioned)
    ]


def _there(index: Index) -> Sequence[tuple[str, TensorState]]:
    return () if index.ending is None else index.ending.there


def _no_parameters(index: Index, place: Place) -> Unanswered | None:
    """An optimizer got no parameters: the lines that put modules into plain containers, which register nothing."""
    places: dict[Place, None] = {}
    for call in index.history.calls_of(lambda function: function.name.startswith("torch.nn.init")):
        made = index.places.of(call)
        if made is not None and _in_plain_container(index, made):
            places[Place(made.label, made.file, made.position, made.code, None)] = None
    switched = [
        call
        for call in index.history.calls_of(lambda one: one.label in {"requires_grad", "requires_grad_"})
        if call.inputs and not index.trace.states[call.inputs[0].after].requires_grad
    ]
    frozen = dict.fromkeys(one for call in switched for one in index.places.chain(call))
    if not places and not frozen and "arameters" not in place.code:
        return None
    return Unanswered("unregistered", tuple(places) or tuple(frozen) or (place,), place, ())


def _in_plain_container(index: Index, place: Place) -> bool:
    """Whether what a range makes is put into a list, a dict or a tuple that an attribute is set to."""
    code = index.places.code(place)
    statement = code.statement(place.position)
    if isinstance(statement, ast.Assign):
        return isinstance(statement.value, _CONTAINERS) and isinstance(statement.targets[0], ast.Attribute)
    call = statement.value if isinstance(statement, ast.Expr) else None
    return (
        isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in {"append", "extend"}
    )


def _never_reached(index: Index, place: Place) -> Unanswered | None:
    """A scaler found no gradient in its optimizer: no backward reached any parameter; the line that made the loss."""
    reached = reached_leaves(index)
    missed = tuple(
        param
        for optimizer in index.trace.optimizers
        if reached.isdisjoint(optimizer.params)
        for param in optimizer.params
    )
    return _without(index, missed, len(index.trace.calls), place) if missed else None


def _without(index: Index, missed: tuple[TensorId, ...], before: int, place: Place) -> Unanswered | None:
    """The last loss was computed without some leaves: the line of the user's own that made it."""
    backwards = list(index.history.calls_of(lambda function: function.kind is Kind.BACKWARD, before))
    if not backwards or not backwards[-1].inputs:
        return None
    for call in _makers(index, index.trace.states[backwards[-1].inputs[0].before].tensor, backwards[-1].step):
        places = index.places.chain(call)
        if places:
            return Unanswered("unused", places, place, missed)
    return None


def _unreduced(index: Index, count: int, place: Place) -> Unanswered | None:
    """DistributedDataParallel begins a forward, and the last backward has not reached `count` of its parameters.

    It says their numbers; they are known by name where so many with one were not reached.
    """
    backwards = list(index.history.calls_of(lambda function: function.kind is Kind.BACKWARD))
    if not backwards:
        return None
    last, before = backwards[-1].step, max((one.step for one in backwards[:-1]), default=-1)
    walks = [walk for walk in index.trace.walks if walk.is_backward and walk.step == last]
    reached = {index.trace.node_by_id[node].leaf for walk in walks for node in walk.reached}
    left = [
        state.tensor
        for state in index.history.last_states()
        if index.trace.tensors[state.tensor].type == "Parameter"
        and state.requires_grad
        and state.tensor not in reached
        and (walks or not any(before < use.step < last for use in index.gradients.uses(state.tensor)))
        and index.names.of(state.tensor)
    ]
    below = [leaf for leaf in left if any(".module." in name for name in index.names.of(leaf))]
    missed = next((tuple(some) for some in (left, below) if len(some) == count), ())
    found = _without(index, missed, len(index.trace.calls), place)
    return None if found is None else replace(found, how="unreduced")


def _makers(index: Index, tensor: TensorId, step: int) -> Iterator[Call]:
    """The calls that made a loss, the last one first, but for the scaling of one."""
    maker = index.history.maker(tensor, step)
    while maker is not None and maker.inputs:
        frames = maker.stack.frames
        if not frames or not (frames[0].entry or "").startswith("GradScaler."):
            yield maker
            return
        maker = index.history.maker(index.trace.states[maker.inputs[0].before].tensor, maker.step)


def _none_read(index: Index, failure: Failure, place: Place) -> Unanswered | None:
    """A line failed because a gradient that it read is None."""
    if failure.type not in {"TypeError", "AttributeError"} or "NoneType" not in failure.message:
        return None
    reads = [call for call in index.history.calls_of(reads_grad) if call.inputs and not call.outputs]
    here = [call for call in reads if _is_at(index, call, place)]
    if not here:
        return None
    read = here[-1]
    state = index.trace.states[read.inputs[0].before]
    if state.requires_grad and state.is_leaf:
        if state.tensor in reached_leaves(index):
            return None
        return _without(index, (state.tensor,), read.step, place)
    return None if state.requires_grad else never_required(index, state.tensor, read.step, place)


def _is_at(index: Index, call: Call, place: Place) -> bool:
    found = index.places.of(call)
    if found is None or found.file != place.file:
        return False
    statement = index.places.code(place).statement(place.position)
    return statement is not None and statement.lineno <= found.position.line <= (statement.end_lineno or 0)


def _written_below(index: Index, place: Place) -> Unanswered | None:
    """A view that a line mentions was made under `no_grad`, and its base was written outside: the write."""
    views = [state for state in _mentioned(index, place) if state.creation == "no_grad_mode"]
    for write in index.history.writes if views else ():
        state, places = write.before, index.places.chain(write.call)
        for view in views:
            if (
                places
                and state.requires_grad
                and state.tensor != view.tensor
                and view.base in {state.tensor, state.base}
            ):
                return Unanswered("view", places, place, (view.tensor, state.tensor))
    return None
