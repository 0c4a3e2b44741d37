"""Parameters that took the place of others which an optimizer goes on with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Act, Call, GradMode, Kind, TensorId
from inplace.reading.gradients import optimized, reached_leaves, stepped
from inplace.reading.index import Index
from inplace.reading.lineage import is_made_of_result

# FSDP gives a module whole parameters for as long as it computes, in the place of the parts that the optimizer has.
_SHARDED = "DTensor"


@dataclass(frozen=True, slots=True)
class Replaced:
    """A parameter that gets gradients and is in no optimizer, and one that is, and is used no more."""

    now: TensorId
    orphans: tuple[TensorId, ...]
    first_use: Call


def replaced_leaves(index: Index) -> Iterator[Replaced]:
    """Yield the parameters that came while an optimizer had others, which nothing is computed from any more."""
    trace = index.trace
    built: dict[tuple[int, ...], int] = {tuple(one.params): -1 for one in trace.optimizers}
    for act in trace.acts:
        if act.act is Act.BUILT:
            built[act.numbers] = act.step
    known = optimized(trace) | {TensorId(number) for numbers in built for number in numbers}
    reached = reached_leaves(index, trace.begin)
    used = reached_leaves(index) | stepped(
        index
    )  # an optimizer of an earlier cell's model has nothing to do with this one
    for leaf in sorted(reached - known):
        state, first = index.history.last_state(leaf), _first_in_graph(index, leaf)
        if trace.tensors[leaf].type != "Parameter" or state is None or not state.requires_grad or first is None:
            continue
        if is_made_of_result(index, leaf):
            continue  # what is lost is the path to that
        orphans = [
            TensorId(param)
            for numbers, step in built.items()
            if step <= trace.tensors[leaf].first_seen and not used.isdisjoint(map(TensorId, numbers))
            for param in numbers
            if trace.tensors[TensorId(param)].type != _SHARDED and _is_left(index, TensorId(param), first)
        ]
        if orphans:
            yield Replaced(leaf, tuple(orphans), first)


def _in_graph(index: Index, tensor: TensorId) -> list[Call]:
    steps = dict.fromkeys(step for step, _ in index.history.sightings.get(tensor, ()))
    calls = [index.trace.calls[step] for step in steps]
    return [call for call in calls if call.grad_mode is GradMode.GRAD and call.function.kind is Kind.OP and call.nodes]


def _first_in_graph(index: Index, tensor: TensorId) -> Call | None:
    found = _in_graph(index, tensor)
    return found[0] if found else None


def _is_left(index: Index, tensor: TensorId, first: Call) -> bool:
    """Whether a parameter is in no graph from the first use of another on, and not under a name at the end."""
    end = len(index.trace.calls)
    uses = _in_graph(index, tensor)
    if uses:  # a step has come since, or both may belong to one loss
        steps = [act.step for act in index.trace.acts if act.act is Act.STEPPED]
        return any(uses[-1].step < step <= first.step for step in steps)
    return not any(name.tensor == tensor and name.step == end for name in index.trace.names)
