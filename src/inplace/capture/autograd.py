"""grad_fn, edges, saved tensors and accumulate-grad nodes -> plain facts, read without unpacking anything.

NOTE [ Reading what a node saved ]
`node._saved_x` checks the version and runs the user's unpack hooks. `node._raw_saved_x` is a handle; its `data` is the
saved tensor itself, with its live version counter, read without either (`torch/csrc/autograd/python_variable.cpp`).
Where a hook packed the save, `data` is what the hook gave, and we only note that something was saved.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from inplace.capture.identity import PLAIN, Identities
from inplace.capture.reading import small_values
from inplace.model import Edge, NodeId, SavedTensor, TensorId

Kept = tuple[SavedTensor, int | None, tuple[Any, ...] | None]

LIMIT = 20_000  # nodes of one walk


@dataclass(frozen=True, slots=True)
class Found:
    """One node as it was when the walk met it; `versions` and `values` are those of its saved tensors then."""

    id: NodeId
    name: str
    edges: tuple[Edge, ...]
    saved: tuple[SavedTensor, ...]
    versions: tuple[int | None, ...]
    values: tuple[tuple[Any, ...] | None, ...]
    leaf: TensorId | None
    custom: bool


class Walker:
    """Walks autograd graphs."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities
        self._anonymous = -1_000_000_000

    def walk(self, roots: list[Any]) -> tuple[list[Found], bool]:
        """The nodes reachable from `roots` in breadth-first order, and whether all of them were visited."""
        seen: dict[Any, NodeId] = {}
        order: list[Any] = []
        for root in roots:
            self._enter(root, seen, order)
        found: list[Found] = []
        for node in order:  # grows while we walk
            if len(found) >= LIMIT:
                return found, False
            edges = []
            for target, number in node.next_functions:
                if target is not None:
                    self._enter(target, seen, order)
                    edges.append(Edge(seen[target], int(number)))
            found.append(self._found(node, seen[node], tuple(edges)))
        return found, True

    def id_of(self, node: Any) -> NodeId:
        """The id of one node: its sequence number, or minus one minus the leaf's id for accumulate-grad nodes."""
        leaf: Any = getattr(node, "variable", None)
        if type(leaf) in PLAIN:
            return NodeId(-1 - self._identities.id_of(leaf))
        number = int(node._sequence_nr())
        if 0 <= number < 1 << 62:
            return NodeId(number)
        self._anonymous -= 1
        return NodeId(self._anonymous)

    def _enter(self, node: Any, seen: dict[Any, NodeId], order: list[Any]) -> None:
        if node not in seen:
            seen[node] = self.id_of(node)
            order.append(node)

    def _found(self, node: Any, number: NodeId, edges: tuple[Edge, ...]) -> Found:
        leaf: Any = getattr(node, "variable", None)
        custom = isinstance(node, torch.autograd.function.BackwardCFunction)
        kept = list(self._saved(node, custom=custom))
        return Found(
            id=number,
            name=str(node.name()).removeprefix("torch::autograd::"),
            edges=edges,
            saved=tuple(saved for saved, _, _ in kept),
            versions=tuple(version for _, version, _ in kept),
            values=tuple(values for _, _, values in kept),
            leaf=self._identities.id_of(leaf) if type(leaf) in PLAIN else None,
            custom=custom,
        )

    def _saved(self, node: Any, *, custom: bool) -> Iterator[Kept]:
        for attribute, handle in raw_saves(node):
            name = attribute.removeprefix("_raw_saved_")
            many = isinstance(handle, (tuple, list))
            for position, one in enumerate(handle if many else (handle,)):
                if one is not None:
                    yield from self._read(f"{name}[{position}]" if many else name, one)
        if custom:
            for name, kept in list(vars(node).items()):
                if type(kept) in PLAIN:
                    yield self._fact(name, kept, counted=False)

    def _read(self, name: str, handle: Any) -> Iterator[Kept]:
        if getattr(handle, "unpack_hook", None) is not None:
            yield SavedTensor(name, None, None, 0, None, counted=False), None, None
            return
        data = getattr(handle, "data", None)
        if data is not None and type(data) in PLAIN:
            yield self._fact(name, data, counted=True)

    def _fact(self, name: str, kept: torch.Tensor, *, counted: bool) -> Kept:
        live = self._identities.live_of(kept)
        ref = self._identities.ref_of(kept)
        tensor = ref.tensor if ref is not None else None
        if live is None:
            return SavedTensor(name, tensor, None, 0, None, counted=counted), None, None
        offset = self._identities.offset_of(kept, live)
        layout = self._identities.layout_of(kept)
        version = None if kept.is_inference() else kept._version
        return SavedTensor(name, tensor, live.id, offset, layout, counted=counted), version, small_values(kept)


def raw_saves(node: Any) -> Iterator[tuple[str, Any]]:
    """The handles of what a node saved, by attribute; none of those that an earlier backward has released."""
    for attribute in _attributes_of(type(node)):  # type: ignore[arg-type]  # a class is hashable
        with contextlib.suppress(RuntimeError):
            yield attribute, getattr(node, attribute)


@lru_cache(4096)
def _attributes_of(kind: type) -> tuple[str, ...]:
    """Where nodes of a type keep the handles of what they saved."""
    return tuple(name for name in dir(kind) if name.startswith("_raw_saved_"))
