"""Parameters that were read once, before the steps that change them: the loss is computed from that one result on.

`weights = torch.softmax(self.alpha, 0)` before the loop, or in `__init__`, is a result of the values of that moment.
Backward goes through it in each turn, where the graph is kept or nothing is saved, the optimizer steps, and no loss
sees what the steps did. It is told where all of this was seen: the lines that took the parameter, as the graph has
them, and no line that took it since; a gradient that came anew after a clear; a loss that was computed after a step.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from inplace.facts.model import Call, Kind, Look, TensorId
from inplace.reading.trace.gradient_events import Event
from inplace.reading.trace.index import Index

_WITH_VALUES = ("f", "x")  # of other gradients it is not known whether backward has come to them


@dataclass(frozen=True, slots=True)
class ComputedOnce:
    """Leaves that a call took before the first step over them, and none since; `step` is the line of that step."""

    leaves: tuple[TensorId, ...]
    use: Call
    step: Event


def computed_once(index: Index) -> Iterator[ComputedOnce]:
    """Yield what optimizers step in vain, by the line that took it; not where calls were let go of or more may come."""
    if index.trace.goes_on or any(one.what is Look.HISTORY for one in index.trace.not_looked_at):
        return
    groups: dict[tuple[int, ...], list[Event]] = {}  # most steps are about the same
    for event in index.gradients.of("step"):
        groups.setdefault(event.numbers, []).append(event)
    of_leaf: dict[TensorId, list[list[Event]]] = defaultdict(list)
    for numbers, events in groups.items():
        for number in numbers:
            of_leaf[TensorId(number)].append(events)
    found: dict[object, ComputedOnce] = {}
    for leaf, own in sorted(of_leaf.items()):
        first = min((events[0] for events in own), key=lambda one: one.moment)
        if _is_taken(index, leaf, first.moment[0]):
            continue
        steps = sorted((event for events in own for event in events), key=lambda one: one.moment)
        use = _only_use(index, leaf, steps)
        if use is not None:
            before = found.get(use.stack)
            found[use.stack] = ComputedOnce((*(before.leaves if before else ()), leaf), use, first)
    yield from found.values()


def _only_use(index: Index, leaf: TensorId, steps: list[Event]) -> Call | None:
    """The call that took a leaf before the first step over it, where gradients came for it anew behind that."""
    begin, concerned = steps[0].moment[0], frozenset({leaf})
    backwards = {one.moment: one for one in index.gradients.of("backward") if leaf in (one.leaves or ())}
    if not backwards or any(event.concerns(concerned) for event in index.gradients.of("set")):
        return None
    clears = [one.moment for one in index.gradients.of("clear") if leaf in (one.leaves or ())]
    moments = [*backwards]
    for before, step in pairwise(steps):
        place = bisect_left(clears, step.moment) - 1
        if place < 0 or clears[place] < before.moment or not _is_anew(step, leaf):
            continue
        came = moments[bisect_left(moments, clears[place]) : bisect_left(moments, step.moment)]
        if any(_sees_later(index, backwards[one], begin) for one in came):
            use = _taken_by(index, leaf, backwards[came[0]])
            return use if use is not None and use.step <= begin else None
    return None


def _is_anew(step: Event, leaf: TensorId) -> bool:
    """Whether a step found a gradient with values."""
    place = step.numbers.index(leaf)
    return step.found[place : place + 1] in _WITH_VALUES


def _is_taken(index: Index, leaf: TensorId, after: int) -> bool:
    """Whether behind a step of the trace a call gave out something with a path to a leaf."""
    columns = index.history.columns
    for step, _ in reversed(index.history.sightings.get(leaf, [])):
        if step <= after:
            return False
        function = columns.functions[columns.function[step]]
        if function.kind is Kind.OP and not function.label.endswith(".step"):
            states = (index.trace.states[one] for one in columns.outputs_of(step))
            if any(state.requires_grad for state in states):
                return True
    return False


def _sees_later(index: Index, backward: Event, after: int) -> bool:
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
