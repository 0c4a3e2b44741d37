"""Parameters that were read once, before the steps that change them: the loss is computed from that one result on.

`weights = torch.softmax(self.alpha, 0)` before the loop, or in `__init__`, is a result of the values of that moment.
Backward goes through it in each turn, where the graph is kept or nothing is saved, the optimizer steps, and no loss
sees what the steps did. It is told where all of this was seen: the lines that took the parameter, as the graph has
them, and no line that took it since; a gradient that came anew after a clear; a loss that was computed after a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Call, Kind, Look, TensorId
from inplace.reading.trace.gradient_events import Event
from inplace.reading.trace.index import Index

_ANEW = frozenset("fx")  # a gradient with values; of others it is not known whether backward has come to them


@dataclass(frozen=True, slots=True)
class ComputedOnce:
    """Leaves that a call took before the first step over them, and none since; `step` is the line of that step."""

    leaves: tuple[TensorId, ...]
    use: Call
    step: Event


def computed_once(index: Index) -> Iterator[ComputedOnce]:
    """Yield what optimizers step in vain, by the line that took it; not where calls were let go of, or more may come."""
    if index.trace.goes_on or any(one.what is Look.HISTORY for one in index.trace.not_looked_at):
        return
    steps: dict[TensorId, list[Event]] = {}
    for event in index.gradients.of("step"):
        for leaf in event.leaves or ():
            steps.setdefault(leaf, []).append(event)
    found: dict[object, ComputedOnce] = {}
    for leaf, own in sorted(steps.items()):
        use = _only_use(index, leaf, own)
        if use is not None:
            before = found.get(use.stack)
            found[use.stack] = ComputedOnce((*(before.leaves if before else ()), leaf), use, own[0])
    yield from found.values()


def _only_use(index: Index, leaf: TensorId, steps: list[Event]) -> Call | None:
    """The call that took a leaf, if none did behind the first step over it and gradients came for it all the same."""
    begin = steps[0].moment
    if len(steps) == 1 or _is_taken(index, leaf, begin[0]):
        return None
    concerned = frozenset({leaf})
    if any(event.concerns(concerned) for event in index.gradients.of("set")):
        return None
    clears = [one.moment for one in index.gradients.of("clear") if one.leaves is not None and leaf in one.leaves]
    backwards = [one for one in index.gradients.of("backward") if one.leaves is not None and leaf in one.leaves]
    for before, step in zip(steps, steps[1:], strict=False):
        cleared = max((one for one in clears if before.moment < one < step.moment), default=None)
        if cleared is None or step.found[step.numbers.index(leaf) :][:1] not in _ANEW:
            continue
        came = [one for one in backwards if cleared < one.moment < step.moment and _is_anew(index, one, begin[0])]
        use = _taken_by(index, leaf, came[0]) if came else None
        if use is not None:
            return use if use.step <= begin[0] else None
    return None


def _is_taken(index: Index, leaf: TensorId, after: int) -> bool:
    """Whether behind a step of the trace a call gave out something with a path to a leaf, as no step of one does."""
    for step, _ in reversed(index.history.sightings.get(leaf, [])):
        if step <= after:
            return False
        call = index.trace.calls[step]
        if call.function.kind is Kind.OP and any(index.trace.states[one].requires_grad for one in call.outputs):
            return True
    return False


def _is_anew(index: Index, backward: Event, after: int) -> bool:
    """Whether a backward began at what was computed behind a step of the trace."""
    call = index.trace.calls[backward.step] if backward.step is not None else None
    root = index.history.tensors_by_state[call.inputs[0].before] if call is not None and call.inputs else None
    maker = index.history.maker(root, call.step) if call is not None and root is not None else None
    return maker is not None and maker.step > after


def _taken_by(index: Index, leaf: TensorId, backward: Event) -> Call | None:
    """The call that took a leaf, in the graph of a backward's line, where all that took it there is known."""
    nodes, calls = index.trace.node_by_id, index.trace.calls
    found: dict[int, Call] = {}
    for walk in index.trace.walks:
        if not walk.is_backward or calls[walk.step].stack != backward.stack:
            continue
        own = {node for node in walk.reached if nodes[node].leaf == leaf}
        for node in (nodes[one] for one in walk.reached):
            if any(edge.node in own for edge in node.edges):
                call = calls[node.step] if node.step is not None else None
                if call is None or leaf not in {index.history.tensors_by_state[one.before] for one in call.inputs}:
                    return None
                found[call.step] = call
    return found[min(found)] if found else None
