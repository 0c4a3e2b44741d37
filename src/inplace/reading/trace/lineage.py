"""Where a tensor's values came from: the calls behind it, the leaves at their ends, and the calls that cut the path."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from inplace.facts.collectives import is_collective
from inplace.facts.model import Argument, Call, GradMode, Kind, StorageId, TensorId, TensorState
from inplace.facts.rows import column
from inplace.reading.trace.gradient_events import reads_grad
from inplace.reading.trace.history import sets_data
from inplace.reading.trace.index import Index

HowCut = Literal[
    "detach", "data", "deepcopy", "item", "numpy", "rebuilt", "no-grad", "dtype", "wrapped", "frozen", "collective"
]
"""What cut a path: `wrapped` where a result became a new leaf (`nn.Parameter(...)`), `frozen` where none ever was."""

_MOST = 20_000  # calls looked at for one lineage
# What takes nothing but shape and kind from its argument, and what does so from all but the first.
_LIKE = frozenset(
    [
        *("zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like", "randint_like"),
        *("new_zeros", "new_ones", "new_full", "new_empty", "new_tensor"),
    ]
)
_FLAGS = frozenset({"requires_grad_", "requires_grad"})
_NEAR = 64  # calls before a parameter was met among which the one is looked for that made its bytes
_FIRST_ONLY = frozenset({"type_as", "to", "view_as", "expand_as", "reshape_as"})
_NO_EXITS = frozenset({Kind.BACKWARD, Kind.SETTER})


@dataclass(frozen=True, slots=True)
class CutCall:
    """A call that took a tensor with a gradient path in and gave one without out; `given` is that tensor.

    It is `beyond` where another cut lies between it and what was computed: to undo it alone gives no path.
    """

    call: Call
    given: TensorState
    how: HowCut | None = None
    beyond: bool = False


@dataclass(slots=True)
class Lineage:
    """Everything behind one tensor: leaves that require grad, cuts, and tensors that no recorded call made.

    `live` are the leaves that a path without cuts leads to.
    """

    live: dict[TensorId, None] = field(default_factory=dict)
    leaves: dict[TensorId, None] = field(default_factory=dict)
    cuts: list[CutCall] = field(default_factory=list)
    unknown: dict[TensorId, TensorState] = field(default_factory=dict)
    calls: dict[int, Call] = field(default_factory=dict)


def lineage(index: Index, tensor: TensorId, before: int) -> Lineage:
    """The lineage of a tensor as it was before step `before`."""
    found = Lineage()
    queue: deque[tuple[TensorId, int, bool]] = deque([(tensor, before, False)])
    seen: set[tuple[TensorId, int]] = set()
    while queue and len(seen) < _MOST:
        one, step, beyond = queue.popleft()  # what is before all cuts first
        call = _maker(index, one, step)
        key = (one, call.step if call is not None else -1)
        if key in seen:
            continue
        seen.add(key)
        state = _state_before(index, one, step)
        if state is not None and state.requires_grad and state.is_leaf:
            found.leaves[one] = None
            if not beyond:
                found.live[one] = None
            if call is None or not _made_leaf(index, one, call):
                continue
        if call is None or not call.inputs:
            if state is not None:
                found.unknown[one] = state
            continue
        found.calls[call.step] = call
        cut = _cut_by(index, call, one)
        if cut is not None:
            found.cuts.append(replace(cut, beyond=beyond))
        for argument in _carrying(call):
            entry = index.trace.states[argument.before].tensor, call.step, beyond or cut is not None
            if entry[2]:
                queue.append(entry)
            else:
                queue.appendleft(entry)
    return found


def _carrying(call: Call) -> Sequence[Argument]:
    """The arguments whose values a call's results have."""
    label = call.function.label
    if label in _LIKE:
        return ()
    if sets_data(call.function):
        return call.inputs[1:]
    return call.inputs[:1] if label in _FIRST_ONLY else call.inputs


def _made_leaf(index: Index, tensor: TensorId, call: Call) -> bool:
    """Whether a call made a leaf out of computed values (`requires_grad_`, `torch.tensor(loss, requires_grad=True)`).

    An update step writes to a leaf too, but what it computes with is not where the leaf's gradient path began.
    """
    if call.function.label in _FLAGS or _sets_data(call):
        return True
    return not any(index.trace.states[argument.before].tensor == tensor for argument in call.inputs)


def _sets_data(call: Call) -> bool:
    return sets_data(call.function) and len(call.inputs) > 1


def _maker(index: Index, tensor: TensorId, before: int) -> Call | None:
    """The last call before a step that gave out a tensor, or wrote to its storage.

    Of a tensor that no call gave out (`nn.Parameter(t)`), the first that gave out another over its storage.
    """
    made = index.history.maker(tensor, before)
    state = index.history.last_state(tensor)
    storage = state.storage if state is not None else None
    for write in reversed(index.history.writes_to.get(storage, [])) if storage is not None else ():
        if write.call.step >= before:
            continue
        if made is None or write.call.step > made.step:
            return write.call
        break
    return _maker_of_bytes(index, tensor, storage, before) if made is None else made


def _maker_of_bytes(index: Index, tensor: TensorId, storage: StorageId | None, before: int) -> Call | None:
    """The call that made the bytes of a tensor that no call gave out (`nn.Parameter(t)`)."""
    if index.trace.tensors[tensor].origin is not None:
        return None
    others = index.history.tensors_of.get(storage, []) if storage is not None else []
    steps = [step for one in others for step in index.history.givers.get(one, ())[:1] if step < before]
    return index.trace.calls[min(steps)] if steps else wrapped_call(index, tensor)


def wrapped_call(index: Index, tensor: TensorId) -> Call | None:
    """The call whose result `nn.Parameter(...)` or `deepcopy` made a parameter of, dropping the result itself.

    It is known by the source, and by the shape: the result was gone before anybody met the parameter.
    """
    facts, state = index.trace.tensors[tensor], index.history.last_state(tensor)
    if facts.type != "Parameter" or facts.origin is not None or state is None:
        return None
    for step in range(facts.first_seen - 1, max(facts.first_seen - _NEAR, -1), -1):
        call = index.trace.calls[step]
        results = [index.trace.states[output] for output in call.outputs]
        if len(results) == 1 and results[0].layout.shape == state.layout.shape and _is_wrapped_at(index, call):
            return call
    return None


def is_made_of_result(index: Index, leaf: TensorId) -> bool:
    """Whether a parameter was made of a result with a gradient path (`nn.Parameter(h)`), which is lost there."""
    call = wrapped_call(index, leaf)
    return call is not None and any(index.trace.states[output].requires_grad for output in call.outputs)


def is_moved_by_hand(index: Index, leaf: TensorId) -> bool:
    """Whether a leaf is written, by no step of an optimizer, after it was first used under grad mode."""
    state = index.history.last_state(leaf)
    storage = state.storage if state is not None else None
    sightings = [step for step, _ in index.history.sightings.get(leaf, ())]
    used = next((step for step in sightings if index.trace.calls[step].nodes), None)
    if used is None or storage is None:
        return False
    writes = index.history.writes_to.get(storage, [])
    return any(write.call.step > used and not write.call.function.label.endswith(".step") for write in writes)


def _is_wrapped_at(index: Index, call: Call) -> bool:
    place = index.places.of(call)
    if place is None:
        return False
    if call.stack.frames[0].entry == "deepcopy":
        return call.function.label == "clone"
    code = index.places.code(place)
    statement = code.statement_at(place.position)
    return statement is not None and "Parameter(" in code.text(statement)


def _state_after(index: Index, tensor: TensorId, after: int) -> TensorState | None:
    """The first state of a tensor that was noted after a step, else the last of all."""
    steps = index.history.sightings.get(tensor, [])
    found = next((state for step, state in steps if step > after), None)
    return index.trace.states[found] if found is not None else index.history.last_state(tensor)


def _state_before(index: Index, tensor: TensorId, before: int) -> TensorState | None:
    """The last state of a tensor that some call before a step, or that step, noted."""
    steps = index.history.sightings.get(tensor, [])
    best: TensorState | None = None
    for step, state in steps:
        if step > before or (step == before and best is not None):
            break
        best = index.trace.states[state]
    return best if best is not None else index.history.last_state(tensor)


def _cut_by(index: Index, call: Call, made: TensorId) -> CutCall | None:
    """The cut that a call is which made a tensor, or wrote to its storage: an input had a path, the tensor has none."""
    states = index.trace.states
    if call.raised is not None or call.function.label in _LIKE or call.function.label in _FLAGS:
        return None
    if _sets_data(call):
        given = states[call.inputs[1].before]
        return CutCall(call, given, "data") if given.requires_grad else None
    after = next((states[s] for s in call.outputs if states[s].tensor == made), None)
    if after is None:
        after = next((states[a.after] for a in call.inputs if states[a.after].tensor == made), None)
    if after is None:
        return _cut_aside(index, call, made)
    if after.requires_grad and not _fresh_leaf(index, call, after):
        return None
    live = live_input(index, call)
    return CutCall(call, live) if live is not None else None


def _cut_aside(index: Index, call: Call, made: TensorId) -> CutCall | None:
    """The cut where a call neither took nor gave out a tensor: its result became a leaf, or it wrote by an alias."""
    states = index.trace.states
    result = next((states[output] for output in call.outputs), None)
    own = _state_after(index, made, call.step)
    if result is not None and own is not None and own.is_leaf and own.requires_grad:
        return CutCall(call, result, "wrapped") if result.requires_grad and not result.is_leaf else None
    written = {states[argument.before].tensor for argument in index.trace.writes(call)}
    live = [states[a.before] for a in call.inputs if states[a.before].tensor not in written]
    given = next((state for state in live if state.requires_grad), None)
    if given is None or own is None or own.requires_grad:
        return None
    return CutCall(call, given, "data")


def _fresh_leaf(index: Index, call: Call, after: TensorState) -> bool:
    """Whether a call gave out a leaf that it did not take in."""
    return after.is_leaf and all(index.trace.states[argument.before].tensor != after.tensor for argument in call.inputs)


def live_input(index: Index, call: Call) -> TensorState | None:
    """The first input of a call that had a gradient path; non-leaves first, since they say more."""
    live = [index.trace.states[argument.before] for argument in call.inputs]
    live = [state for state in live if state.requires_grad]
    return next((state for state in live if not state.is_leaf), live[0] if live else None)


def cuts_before(index: Index, before: int) -> list[CutCall]:
    """Every call before a step through which values with a gradient path left autograd, numbers and arrays included."""
    requires_grad, columns = column(index.trace.states, "requires_grad"), index.history.columns
    found = []
    for step in columns.steps_of(lambda one: not reads_grad(one) and one.kind not in _NO_EXITS, before):
        given = columns.before[columns.begins[step] : columns.begins[step + 1]]
        if step in columns.raised or not any(requires_grad[state] for state in given):
            continue
        made = columns.outputs_of(step)
        leaves = columns.functions[columns.function[step]].kind in {Kind.TO_PYTHON, Kind.EXPORT}
        dead = bool(made) and not any(requires_grad[state] for state in made)
        call = index.trace.calls[step] if leaves or dead else None
        live = live_input(index, call) if call is not None else None
        if call is not None and live is not None and (leaves or not _writes_only(index, call)):
            found.append(CutCall(call, live))
    return found


def _writes_only(index: Index, call: Call) -> bool:
    """Whether a call under no_grad only changes its inputs (an update step), and gives nothing new out."""
    inputs = {index.trace.states[argument.before].tensor for argument in call.inputs}
    return all(index.trace.states[state].tensor in inputs for state in call.outputs)


def how_cut(cut: CutCall) -> HowCut:
    """What kind of call cut the path, for its words."""
    call = cut.call
    if call.stack.frames and call.stack.frames[0].entry == "deepcopy":
        return "deepcopy"
    if cut.how is not None:
        return cut.how
    label = call.function.label
    if call.function.kind is Kind.TO_PYTHON:
        return "item"
    if is_collective(call.function.name):
        return "collective"
    if call.function.kind is Kind.EXPORT:
        return "numpy"
    if label in {"detach", "detach_", "data"}:
        return "data" if label == "data" else "detach"
    if call.grad_mode is not GradMode.GRAD:
        return "no-grad"
    if label in {"tensor", "as_tensor", "asarray"}:
        return "rebuilt"
    return "dtype"
