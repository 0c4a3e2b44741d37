"""Writes to results that have a gradient path, through an alias which has none: the graph does not learn of them.

NOTE [ Writes whose derivative is one ]
Autograd goes on with the gradient of the values as they were before. For what is added that makes no difference, and
what is rounded or put in as a whole (`h.data.copy_(q)`) is passed straight through on purpose. Where values are scaled
or bent, the gradient is not that of what was computed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import GradMode, NodeId, StorageId, TensorId
from inplace.reading.history import Write
from inplace.reading.index import Index

_BENDS = frozenset(
    [
        *("mul_", "multiply_", "div_", "divide_", "true_divide_", "__imul__", "__itruediv__", "pow_", "__ipow__"),
        *("exp_", "log_", "sqrt_", "square_", "tanh_", "sigmoid_", "abs_", "reciprocal_", "neg_", "relu_"),
        *("addcmul_", "addcdiv_", "lerp_", "renorm_", "zero_"),
    ]
)

_USES = 64  # calls behind a write that are asked whether they used the result


@dataclass(frozen=True, slots=True)
class Unfollowed:
    """A write, and the tensor with a gradient path whose values it changed; `node` is what had made that."""

    write: Write
    live: TensorId
    node: NodeId


def unfollowed_writes(index: Index) -> Iterator[Unfollowed]:
    """Yield the writes that bend what a backward then goes through, in order; of one line's, the first."""
    gone = {node for walk in index.trace.walks if walk.is_backward for node in walk.reached}
    saved = _saved(index)
    seen: set[object] = set()
    for storage, writes in index.history.writes_to.items():
        for write in writes:
            call = write.call
            if call.function.label not in _BENDS or call.stack in seen or call.raised is not None:
                continue
            if write.before.requires_grad and call.grad_mode is GradMode.GRAD:
                continue
            if any(step is None or step <= call.step for step in saved.get(storage, ())):
                continue  # told as a save that was overwritten
            live = _live(index, storage, call.step, gone)
            if live is not None:
                seen.add(call.stack)
                yield Unfollowed(write, *live)


def _saved(index: Index) -> dict[StorageId, list[int | None]]:
    """The steps of the nodes that have saved each storage."""
    found: dict[StorageId, list[int | None]] = {}
    for node in index.trace.nodes:
        for one in node.saved:
            if one.storage is not None:
                found.setdefault(one.storage, []).append(node.step)
    return found


def _live(index: Index, storage: StorageId, step: int, gone: set[NodeId]) -> tuple[TensorId, NodeId] | None:
    """A result over a storage with the same node before and after a step, which a backward then goes through."""
    states = index.trace.states
    for tensor in index.history.tensors_of.get(storage, ()):
        sightings = index.history.sightings.get(tensor, [])
        place = bisect_right(sightings, step, key=lambda one: one[0])
        state = states[sightings[place - 1][1]] if place else None
        node = state.node if state is not None and state.requires_grad and not state.is_leaf else None
        if node is None or node not in gone:
            continue
        for at, number in sightings[place : place + _USES]:
            if states[number].node != node:
                break
            user = index.trace.calls[at]
            if user.grad_mode is GradMode.GRAD and not gone.isdisjoint(user.nodes):
                return tensor, node
    return None
