"""Leaves whose gradient is zero by definition: every path to them goes through a function that is flat everywhere.

So is what draws random numbers: PyTorch gives the parameters of `torch.normal(mean, std)` a gradient of zeros.
"""

from __future__ import annotations

from collections.abc import Iterator

from inplace.facts.model import GraphWalk, NodeId, TensorId
from inplace.reading.gradients.reached import reached_leaves, read_leaves, wanted_leaves
from inplace.reading.gradients.requests import Unanswered
from inplace.reading.trace.index import Index

_SAMPLED = frozenset({"Bernoulli", "Normal", "Poisson"})  # of what the numbers are drawn by
_FLAT = frozenset({"Round", "Floor", "Ceil", "Trunc", "Fix", "Sign", "Sgn", "Heaviside", "FloorDivide"})


def zero_by_definition(index: Index) -> Iterator[Unanswered]:
    """Yield the flat calls that stand between a loss and the wanted leaves that no backward reaches around them."""
    wanted = (wanted_leaves(index) | read_leaves(index)) & reached_leaves(index)
    walks = [walk for walk in index.trace.walks if walk.is_backward]
    flat = {node for walk in walks for node in walk.reached if _flat(index, node) is not None}
    if not wanted or not flat:
        return
    around = {leaf for walk in walks for leaf in _leaves_around(index, walk, flat)}
    behind: dict[NodeId, list[TensorId]] = {}
    for leaf in sorted(wanted - around):
        for node in sorted(flat):
            if leaf in leaves_below(index, [node], frozenset()):
                behind.setdefault(node, []).append(leaf)
                break
    for node, leaves in behind.items():
        place = index.place_of_node(node)
        if place is not None:
            yield Unanswered(
                "sampled" if _flat(index, node) in _SAMPLED else "zero", (place,), place, tuple(leaves), raised=False
            )


def _flat(index: Index, node: NodeId) -> str | None:
    """Which such function a node is PyTorch's for; that of a custom `Round` has no number (`RoundBackward`)."""
    name, _, number = index.trace.node_by_id[node].name.partition("Backward")
    return name if (name in _FLAT or name in _SAMPLED) and number.isdigit() else None


def _leaves_around(index: Index, walk: GraphWalk, flat: set[NodeId]) -> set[TensorId]:
    return leaves_below(index, [root for root in walk.roots if root not in flat], frozenset(flat))


def leaves_below(index: Index, roots: list[NodeId], without: frozenset[NodeId]) -> set[TensorId]:
    """The leaves that some nodes lead to without going through others."""
    nodes, found, seen = index.trace.node_by_id, set[TensorId](), set(roots)
    left = list(roots)
    while left:
        node = nodes.get(left.pop())
        if node is None:
            continue
        if node.leaf is not None:
            found.add(node.leaf)
        for edge in node.edges:
            if edge.node not in seen and edge.node not in without:
                seen.add(edge.node)
                left.append(edge.node)
    return found
