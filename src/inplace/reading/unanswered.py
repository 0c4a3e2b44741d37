"""Requests for gradients that PyTorch refused, or answered with none: what was asked of which tensor, and why not."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from inplace.facts.model import Call, Failure, Kind, TensorId, TensorState
from inplace.reading.gradient_events import reads_grad
from inplace.reading.gradients import reached_leaves
from inplace.reading.index import Index
from inplace.reading.lineage import lineage
from inplace.reading.place import Place

HowRefused = Literal[
    "result",
    "integer",
    "out",
    "copied",
    "no formula",
    "unused",
    "unregistered",
    "no inputs",
    "plain",
    "view",
    "detached view",
    "node",
    "elements",
    "frozen module",
    "hooked",
    "cut",
    "zero",
    "sampled",
    "derivative",
    "elsewhere",
    "unreduced",
]
"""Why there is no gradient.

result: it was asked of a tensor that is computed, where only a leaf has one.
integer: the dtype can't carry one.
out: the result was to be written into a buffer with `out=`.
copied: a tensor with a graph was to be copied with it.
no formula: a function on the path has no derivative.
unused: the loss does not depend on the tensor.
unregistered: an optimizer got no parameters.
unreduced: DistributedDataParallel waits for the gradients of parameters that the last loss did not depend on.
no inputs: backward was told to go to no tensor at all.
plain: nothing behind the tensor ever required grad.
cut: the path to the tensor was cut before.
zero: every path to it goes through a function whose derivative is zero, or that draws numbers (`sampled`).
derivative: a derivative without a graph of its own is a term of the loss.
elsewhere: what the loss is computed from was made where nothing is recorded, as in another thread.
view: a view was made under `no_grad`, and it or its base is written outside.
detached view: a view was to be detached in place.
node: the `grad_fn` was to be deleted.
elements: each element of a computed tensor was to be given to a Python function.
frozen module: no parameter of a module requires grad.
hooked: a hook that waits for `.grad` was put on a tensor that is computed.
"""

_REAL = ("float", "bfloat", "complex", "half", "double")
_CONTAINERS = (ast.List, ast.ListComp, ast.Tuple, ast.Dict, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """One request without an answer: the places that are to blame, where it was made, and for which tensors."""

    how: HowRefused
    places: tuple[Place, ...]
    victim: Place | None
    tensors: tuple[TensorId, ...]
    raised: bool = True


def unanswered(index: Index) -> Unanswered | None:
    """Why the request for a gradient was refused with which the recorded code ended, if it was one."""
    failure = index.trace.failure
    if failure is None or failure.stack is None or not failure.stack.frames:
        return None
    ending = index.ending
    if ending is not None and ending.call is not None:
        return _of_call(index, ending.call)
    return _of_line(index, failure)


def _of_call(index: Index, call: Call) -> Unanswered | None:
    label, place = call.function.label, index.places.of(call)
    states = [index.trace.states[argument.before] for argument in call.inputs]
    if not states or place is None:
        return None
    first, after, here = states[0], index.trace.states[call.inputs[0].after], index.places.chain(call)
    if call.function.kind is Kind.BACKWARD:
        return _of_backward(index, call, place)
    if label in {"requires_grad", "requires_grad_"} and first.creation != "inference":
        if not first.layout.dtype.removeprefix("torch.").startswith(_REAL):
            return Unanswered("integer", here, None, (first.tensor,))
        return None if first.is_leaf else Unanswered("result", here, None, (first.tensor,))
    if label == "register_hook" and not first.requires_grad:
        return _plain(index, first.tensor, call.step, place)
    room = [state for argument, state in zip(call.inputs, states, strict=True) if argument.path.startswith("out")]
    if room and any(state.requires_grad and state.is_leaf for state in room):
        return None  # that is a leaf which was to be written
    if room and any(state.requires_grad for state in states):
        return Unanswered("out", here, None, tuple(state.tensor for state in states))
    if after.creation == "no_grad_mode" and is_single_view(index, first, call.step):
        return Unanswered("view", here, None, (first.tensor,))
    if label == "__deepcopy__" and first.requires_grad and not first.is_leaf:
        return _made(index, "copied", first, call.step, place)
    return None


def is_single_view(index: Index, state: TensorState, step: int) -> bool:
    """Whether a tensor is the one view that a call gave out, of a tensor that is no leaf with a gradient."""
    givers = [one for one in index.history.givers.get(state.tensor, ()) if one < step]
    base = index.history.last_state(state.base) if state.base is not None else None
    of_leaf = base is not None and base.is_leaf and base.requires_grad
    return bool(givers) and len(index.trace.calls[givers[0]].outputs) == 1 and not of_leaf


def _made(index: Index, how: HowRefused, state: TensorState, step: int, victim: Place | None) -> Unanswered | None:
    """The blame is with the call that made a tensor."""
    maker = index.history.maker(state.tensor, step)
    places = index.places.chain(maker) if maker is not None else ()
    return Unanswered(how, places, victim, (state.tensor,)) if places else None


def _plain(index: Index, tensor: TensorId, step: int, victim: Place | None) -> Unanswered | None:
    """Nothing behind a tensor requires grad: the lines that made what it was computed from, if no cut did it."""
    behind = lineage(index, tensor, step)
    if behind.cuts:
        return Unanswered("cut", (), victim, (tensor,))
    sources = [*(behind.unknown or (tensor,))]
    makers = [maker for one in sources if (maker := index.history.maker(one, step)) is not None]
    places = dict.fromkeys(place for maker in makers for place in index.places.chain(maker))
    return Unanswered("plain", tuple(places), victim, tuple(sources)) if places else None


# ---------------------------------------------------------------- backward


def _of_backward(index: Index, call: Call, place: Place) -> Unanswered | None:
    walk = next((one for one in index.trace.walks if one.is_backward and one.step == call.step), None)
    nodes = index.trace.node_by_id
    root = index.trace.states[call.inputs[0].before]
    if walk is None or not root.requires_grad:
        return None
    roots = [index.trace.states[one.before] for one in call.inputs if one.path.split("[")[0] in {"0", "tensors"}]
    lost = next((state for state in roots if not state.requires_grad), None)
    if lost is not None:
        return _plain(index, lost.tensor, call.step, place)
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
            if asked and not state.requires_grad and (plain := _plain(index, state.tensor, call.step, place)):
                return plain
            if asked and state.tensor not in reached and state.node not in walk.reached:
                found = _made(index, "unused", state, call.step, place)
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


# ---------------------------------------------------------------- what is no recorded call


def _of_line(index: Index, failure: Failure) -> Unanswered | None:
    assert failure.stack is not None
    frame, end = failure.stack.frames[0], len(index.trace.calls)
    place, entry = index.places.at(frame, None), frame.entry or ""
    asked = _asked_of(index, place)
    if entry.endswith("Parameter.__new__"):
        found = [one for one in asked if not one.layout.dtype.removeprefix("torch.").startswith(_REAL)]
        return Unanswered("integer", (place,), None, tuple(one.tensor for one in found)) if found else None
    if index.ending is not None and index.ending.what == "no parameters":
        return _no_parameters(index, place)
    if index.ending is not None and index.ending.what == "unreduced":
        return _unreduced(index, len(index.ending.parts[0].split()), place)
    called = _method(index, place)
    method = called.attr if called is not None else None
    if method == "retain_grad" and asked and not asked[0].requires_grad:
        return _plain(index, asked[0].tensor, end, place)
    if method == "register_post_accumulate_grad_hook" and asked and not asked[0].is_leaf:
        return _made(index, "hooked", asked[0], end, place)
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
    return None if state.requires_grad else _plain(index, state.tensor, read.step, place)


def _is_at(index: Index, call: Call, place: Place) -> bool:
    found = index.places.of(call)
    if found is None or found.file != place.file:
        return False
    statement = index.places.code(place).statement(place.position)
    return statement is not None and statement.lineno <= found.position.line <= (statement.end_lineno or 0)


@dataclass(frozen=True, slots=True)
class LeafBehind:
    """A leaf whose name went to a tensor that a call made of it; `shared` are the names, none if it never had one."""

    leaf: TensorId
    maker: Call
    shared: tuple[str, ...]


def leaf_behind(index: Index, state: TensorState, step: int) -> LeafBehind | None:
    """The leaf behind a tensor, as it was before a step, that would be meant by the name of that tensor."""
    maker = index.history.maker(state.tensor, step)
    if maker is None:
        return None
    names = index.names.given.get(state.tensor, [])
    if state.requires_grad:
        leaves = [*lineage(index, state.tensor, step).leaves]
    else:  # made under `no_grad`
        given = [index.trace.states[argument.before] for argument in maker.inputs]
        leaves = [one.tensor for one in given if one.is_leaf and one.requires_grad]
    for leaf in leaves:
        if leaf == state.tensor:
            continue
        known = index.names.of(leaf)
        shared = tuple(name for name in names if name in known)
        if shared or (state.requires_grad and not known):
            return LeafBehind(leaf, maker, shared)
    return None


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
