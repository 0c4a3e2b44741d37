"""Derivatives that were taken without a graph of their own and are terms of a loss, to which they are constants.

NOTE [ Constants that were meant ]
A derivative without `create_graph` is right wherever it is a number: in an update (`w - lr * g`), a perturbation of an
input (`x + eps * g`), the weight of a loss, a first-order step of meta-learning. So it is told of only where it is with
respect to no parameter, depends on parameters itself, and is added to (or compared with) something that has a path to
the same parameters, on the way to a loss that nothing of theirs is applied to any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Call, Kind, Stack, TensorId
from inplace.reading.trace.gradient_events import reads_grad
from inplace.reading.trace.index import Index
from inplace.reading.trace.lineage import lineage

_MOST = 400  # calls that are followed from one derivative
_SUMS = frozenset(
    [
        *("add", "sub", "rsub", "add_", "sub_", "__radd__", "__rsub__", "__iadd__", "__isub__"),
        *("cat", "concat", "stack", "hstack", "vstack", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"),
    ]
)


@dataclass(frozen=True, slots=True)
class ConstantDerivative:
    """A call that gave out a derivative, and the parameters that its term of a loss gives no gradient."""

    call: Call
    made: TensorId
    leaves: tuple[TensorId, ...]


def constant_derivatives(index: Index) -> Iterator[ConstantDerivative]:
    """Yield the derivatives without a graph that are terms of a loss; of one line's, the first."""
    seen: set[Stack] = set()
    for call, of, root, before in _derivatives(index):
        if call.stack in seen or len(call.outputs) != 1 or _keeps_graph(index, call):
            continue
        seen.add(call.stack)
        state = index.trace.states[call.outputs[0]]
        if state.requires_grad or index.trace.tensors[of].type == "Parameter" or of in index.gradients.known:
            continue
        behind = frozenset(lineage(index, root, before).live) - {of}
        behind = frozenset(leaf for leaf in behind if _is_trained(index, leaf))
        if behind and _is_term(index, call, of, behind):
            yield ConstantDerivative(call, state.tensor, tuple(sorted(behind)))


def _derivatives(index: Index) -> Iterator[tuple[Call, TensorId, TensorId, int]]:
    """Each derivative that was taken: its call, with respect to what, and of what, as it was before a step."""
    states = index.trace.states
    for call in index.history.calls_of(lambda one: one.kind is Kind.BACKWARD and one.label == "grad"):
        given = [argument for argument in call.inputs if argument.path.startswith(("0", "outputs"))]
        asked = [argument for argument in call.inputs if argument.path.startswith(("1", "inputs"))]
        if given and len(asked) == 1 and call.raised is None:
            yield call, states[asked[0].before].tensor, states[given[0].before].tensor, call.step
    backwards = [event for event in index.gradients.of("backward") if event.step is not None]
    for call in index.history.calls_of(reads_grad):
        earlier = [event.step for event in backwards if event.step is not None and event.step < call.step]
        if call.inputs and call.outputs and earlier:
            backward = index.trace.calls[earlier[-1]]
            if backward.inputs and not _keeps_graph(index, backward):
                root = states[backward.inputs[0].before].tensor
                yield call, states[call.inputs[0].before].tensor, root, backward.step


def _keeps_graph(index: Index, call: Call) -> bool:
    """Whether the line of a call says that a graph is to be made: then there is none to be made."""
    place = index.places.of(call)
    return place is None or "create_graph=True" in place.code.replace(" ", "")


def _is_trained(index: Index, leaf: TensorId) -> bool:
    return index.trace.tensors[leaf].type == "Parameter" or leaf in index.gradients.known


def _is_term(index: Index, call: Call, of: TensorId, behind: frozenset[TensorId]) -> bool:
    """Whether what a call gave out is added to something with a path, and goes on to a loss from there."""
    states, storage = index.trace.states, _storage(index, of)
    queue = deque([index.trace.states[output].tensor for output in call.outputs])
    seen = set(queue)
    followed = 0
    while queue and followed < _MOST:
        tensor = queue.popleft()
        for user in _users(index, tensor, call.step):
            followed += 1
            others = [state for one in user.inputs if (state := states[one.before]).tensor != tensor]
            if any(one.tensor == of or (storage is not None and one.storage == storage) for one in others):
                continue  # an update, or a perturbation
            for output in user.outputs:
                made = states[output]
                if made.requires_grad:
                    is_sum = user.function.label in _SUMS and any(one.requires_grad for one in others)
                    if is_sum and _comes_to_loss(index, made.tensor, user.step, behind):
                        return True
                elif made.tensor not in seen:
                    seen.add(made.tensor)
                    queue.append(made.tensor)
    return False


def _comes_to_loss(index: Index, tensor: TensorId, since: int, behind: frozenset[TensorId]) -> bool:
    """Whether a backward begins at what is computed from a tensor, none of some leaves going in on the way there."""
    states = index.trace.states
    queue, seen, followed = deque([(tensor, since)]), {tensor}, 0
    while queue and followed < _MOST:
        one, step = queue.popleft()
        for user in _users(index, one, step):
            followed += 1
            if user.function.kind is Kind.BACKWARD:
                leaves = lineage(index, one, user.step).live.keys()
                return user.function.label == "backward" and not behind.isdisjoint(leaves)
            if any(states[argument.before].tensor in behind for argument in user.inputs):
                return False
            for output in user.outputs:
                made = states[output]
                if made.requires_grad and made.tensor not in seen:
                    seen.add(made.tensor)
                    queue.append((made.tensor, user.step))
    return False


def _users(index: Index, tensor: TensorId, after: int) -> list[Call]:
    """The calls behind a step that took a tensor, in order."""
    steps = dict.fromkeys(step for step, _ in index.history.sightings.get(tensor, ()) if step > after)
    calls = [index.trace.calls[step] for step in list(steps)[:_MOST]]
    states = index.trace.states
    return [call for call in calls if any(states[one.before].tensor == tensor for one in call.inputs)]


def _storage(index: Index, tensor: TensorId) -> int | None:
    state = index.history.last_state(tensor)
    return state.storage if state is not None else None
