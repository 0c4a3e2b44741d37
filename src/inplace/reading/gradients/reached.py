"""Which leaves a gradient reached, and for which somebody expected one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from inplace.facts.model import StorageId, TensorId
from inplace.reading.trace.gradient_events import optimized, reads_grad

if TYPE_CHECKING:
    from inplace.reading.trace.index import Index


def reached_leaves(index: Index, since: int = 0, *, accumulated: bool = False) -> set[TensorId]:
    """The leaves that some backward walked to, from a step on: one that adds to `.grad`, if they are accumulated."""
    nodes, calls = index.trace.node_by_id, index.trace.calls
    walks = [walk for walk in index.trace.walks if walk.is_backward and walk.step >= since]
    walks = [walk for walk in walks if not accumulated or calls[walk.step].function.label != "grad"]
    return {leaf for walk in walks for node in walk.reached if (leaf := nodes[node].leaf) is not None}


def wanted_leaves(index: Index) -> set[TensorId]:
    """The leaves whose gradient somebody expected: those in an optimizer, and those whose `.grad` was read as None."""
    wanted = optimized(index.trace)
    for call in index.history.calls_of(reads_grad):
        if not call.outputs:
            wanted.update(index.trace.states[argument.before].tensor for argument in call.inputs)
    return {leaf for leaf in wanted if (state := index.history.last_state(leaf)) and state.is_leaf}


def read_leaves(index: Index) -> set[TensorId]:
    """The leaves whose `.grad` was read, whatever it was."""
    calls = [call for call in index.history.calls_of(reads_grad) if call.inputs]
    return {index.trace.states[call.inputs[0].before].tensor for call in calls}


def storages_of(index: Index, leaves: Iterable[TensorId]) -> tuple[StorageId, ...]:
    """The storages of some leaves, each once, as they were last."""
    states = map(index.history.last_state, leaves)
    return tuple(dict.fromkeys(one.storage for one in states if one is not None and one.storage is not None))
