"""grad_fn, edges, saved tensors and accumulate-grad nodes -> plain facts, read without unpacking anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from inplace.capture.graph.handles import SHOWN, handle, name_of, saving_attributes
from inplace.capture.tables.tensor_facts import small_values
from inplace.capture.tables.tensors import PLAIN
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.model import Edge, Layout, NodeId, SavedTensor, StorageId, TensorId
from inplace.facts.pause import no_collection

LIMIT = 20_000  # nodes that one walk visits; see also NOTE [ Deep graphs ]
_NUMBERED = 1 << 62  # nodes with greater sequence numbers were given none
_NAMESPACE = "torch::autograd::"

# One saved tensor: name, tensor, storage, offset, number of the layout, whether counted; version and values now.
_Kept = tuple[str, int | None, int | None, int, int | None, bool, int | None, tuple[Any, ...] | None]
# A write that no counter shows: its step, the next node's number, the storage, None for any, and the line, if known.
Write = tuple[int, int, StorageId | None, int | None]
Noted = tuple[int, str, list[tuple[int, int]], list[_Kept], int | None, bool]
"""A node as the walk notes it, which backward waits for: id, name, edges, what it saved, its leaf, whether custom.

An edge is the place of a node in the walk, and the number of its input.
"""


meet_all: Callable[[list[Any], dict[Any, int], int | None], None] | None = None
"""What meets the nodes that some reach, up to a limit, compiled; None where it was not."""


class NodesBelow:
    """The nodes that some roots reach, each with its edges, breadth first, up to a limit; to be gone through once.

    An edge is the place of its node in `met`, and the number of that node's input.

    Attributes:
        met: the nodes, in the order in which they were met.
    """

    def __init__(self, roots: Iterable[Any], limit: int | None) -> None:
        self._places = {root: place for place, root in enumerate(dict.fromkeys(roots))}
        self._limit = limit
        self.met = list(self._places)

    @property
    def is_complete(self) -> bool:
        """Whether no node was left out because of the limit, once they were gone through."""
        return self._limit is None or len(self.met) <= self._limit

    def __iter__(self) -> Iterator[tuple[Any, list[tuple[int, int]]]]:
        met, places = self.met, self._places
        for node in islice(met, self._limit):  # which grows while we walk
            edges = []
            for target, number in node.next_functions:
                if target is not None:
                    place = places.get(target)
                    if place is None:
                        place = places[target] = len(met)
                        met.append(target)
                    edges.append((place, number))
            yield node, edges

    def nodes(self) -> Iterator[Any]:
        """The nodes without their edges."""
        if meet_all is None:
            return (node for node, _ in self)
        meet_all(self.met, self._places, self._limit)
        return islice(self.met, self._limit)

    def depth_first(self) -> Iterator[Any]:
        """The nodes in the order of the edges: one more node on a path changes nothing in the order of the others."""
        begun = len(self.met)
        edges = [[place for place, _ in found] for _, found in self]
        left, visited = list(range(begun))[::-1], [False] * len(self.met)
        while left:
            place = left.pop()
            if not visited[place]:
                visited[place] = True
                yield self.met[place]
                left.extend(reversed(edges[place]))


@dataclass(frozen=True, slots=True)
class Walked:
    """One walk: how many nodes it began from, the ids of all that it met, and what was noted of those it visited.

    `released` are the ids of the nodes whose saved tensors were gone.
    """

    roots: int
    ids: Sequence[int]
    noted: Sequence[Noted]
    released: Sequence[int]

    @property
    def is_complete(self) -> bool:
        """Whether all nodes that were met were visited."""
        return len(self.ids) == len(self.noted)


@dataclass(frozen=True, slots=True)
class FoundNode:
    """One node as it was when the walk met it; `versions` and `values` are those of its saved tensors then."""

    id: NodeId
    name: str
    edges: tuple[Edge, ...]
    saved: tuple[SavedTensor, ...]
    versions: tuple[int | None, ...]
    values: tuple[tuple[Any, ...] | None, ...]
    leaf: TensorId | None
    custom: bool

    @classmethod
    def of(cls, noted: Noted, ids: Sequence[int], layouts: Sequence[Layout], storages: Sequence[int]) -> FoundNode:
        """What was noted of a node; `ids`, `layouts` and `storages` are what places and numbers stand for."""
        node, name, edges, kept, leaf, custom = noted
        saved = tuple(
            SavedTensor(
                one,
                None if tensor is None else TensorId(tensor),
                None if storage is None else StorageId(storages[storage]),
                offset,
                None if layout is None else layouts[layout],
                counted,
            )
            for one, tensor, storage, offset, layout, counted, _, _ in kept
        )
        return cls(
            id=NodeId(node),
            name=name,
            edges=tuple(Edge(NodeId(ids[place]), number) for place, number in edges),
            saved=saved,
            versions=tuple(one[6] for one in kept),
            values=tuple(one[7] for one in kept),
            leaf=None if leaf is None else TensorId(leaf),
            custom=custom,
        )


class _NodeClass:
    """What all nodes of one class have in common."""

    __slots__ = ("custom", "has_leaf", "name", "saves")

    def __init__(self, node: Any) -> None:
        kind = type(node)
        self.custom = issubclass(kind, torch.autograd.function.BackwardCFunction)
        self.has_leaf = not self.custom and hasattr(kind, "variable")
        name = str(node.name()).removeprefix(_NAMESPACE)
        self.name = name if name == kind.__name__ else None  # None where one class serves several functions
        self.saves = [(attribute, name_of(attribute)) for attribute in saving_attributes(kind)]


class Walker:
    """Walks autograd graphs.

    Args:
        seen: where tensors get their ids.
        reads_values: whether the values of small saved tensors are read.

    Attributes:
        is_unseen: whether this PyTorch did not show what some node from before the recording has saved.
    """

    def __init__(self, seen: TensorsSeen, *, reads_values: bool = True) -> None:
        self._seen = seen
        self._values = small_values if reads_values else _no_values
        self._anonymous = -1_000_000_000
        self._kinds: dict[type, _NodeClass] = {}
        self._lost = False  # whether the node just read had lost what it saved
        self.is_unseen = False

    @no_collection()
    def walk(self, roots: list[Any]) -> Walked:
        """Note the nodes that `roots` reach."""
        below, kinds = NodesBelow(roots, LIMIT), self._kinds
        begun = len(below.met)
        ids: list[int] = []
        noted: list[Noted] = []
        released: list[int] = []  # places
        numbered: dict[int, int] = {}
        for node, edges in below:
            kind = kinds.get(type(node)) or self._learn(node)
            number, leaf = node._sequence_nr(), None
            if not 0 <= number < _NUMBERED:
                number, leaf = self._unnumbered(node, kind)
            elif (place := numbered.setdefault(number, len(ids))) != len(ids):
                # Each thread counts for itself, and which of the two is of ours nobody tells: neither is taken for it.
                number, ids[place] = self._apart(), self._apart()
                noted[place] = (ids[place], *noted[place][1:])
            ids.append(number)
            kept = self._saved(node, kind, number) if kind.saves else []
            if self._lost:
                self._lost = False
                released.append(len(noted))
            if kind.custom:
                kept += [self._fact(one, value, None, counted=False) for one, value in _attributes_kept(node)]
            name = kind.name
            if name is None:
                name = str(node.name()).removeprefix(_NAMESPACE)
            noted.append((number, name, edges, kept, leaf, kind.custom))
        for node in below.met[len(noted) :]:
            kind, number = kinds.get(type(node)) or self._learn(node), node._sequence_nr()
            ids.append(number if 0 <= number < _NUMBERED else self._unnumbered(node, kind)[0])
        return Walked(begun, ids, noted, [ids[place] for place in released])

    def hits(self, roots: Iterable[Any], writes: Sequence[Write]) -> list[Write]:
        """Those of some writes that came after nodes which the roots reach had saved what they wrote; notes nothing."""
        newest, found = max(write[1] for write in writes), dict[Write, None]()
        below, kinds = NodesBelow(roots, LIMIT), self._kinds
        for node, _ in below:
            number = node._sequence_nr()
            if number >= newest:
                continue
            kind = kinds.get(type(node)) or self._learn(node)
            saved = {kept[2] for kept in self._saved(node, kind, number)} if kind.saves else set()
            saved.discard(None)
            for write in writes if saved else ():
                if number < write[1] and (write[2] is None or write[2] in saved):
                    found[write] = None
        self._lost = False
        return list(found) if below.is_complete else list(writes)

    def _unnumbered(self, node: Any, kind: _NodeClass) -> tuple[int, int | None]:
        """The id of a node without a sequence number, and its leaf: minus one minus that, for accumulate-grad nodes."""
        if kind.has_leaf:
            leaf: Any = node.variable
            if type(leaf) in PLAIN:
                number = self._seen.id_of(leaf)
                return -1 - number, number
        return self._apart(), None

    def _apart(self) -> int:
        """An id that no other node has."""
        self._anonymous -= 1
        return self._anonymous

    def _learn(self, node: Any) -> _NodeClass:
        kind = self._kinds[type(node)] = _NodeClass(node)
        return kind

    def _saved(self, node: Any, kind: _NodeClass, number: int) -> list[_Kept]:
        kept: list[_Kept] = []
        lost = False
        for attribute, name in kind.saves:
            try:
                found = handle(node, attribute)
            except RuntimeError:  # an earlier backward has released it: lists say so, and custom functions
                lost = True
                continue
            several = type(found) is tuple or type(found) is list
            for position, one in enumerate(found if several else (found,)):
                said = f"{name}[{position}]" if several else name
                if getattr(one, "unpack_hook", None) is not None:
                    self.is_unseen = self.is_unseen or (not SHOWN and number < self._seen.origin)
                    kept.append((said, None, None, 0, None, False, None, None))
                elif one is not None and type(data := one.data) in PLAIN:
                    kept.append(self._fact(said, data, number, counted=True))
                elif (version := getattr(one, "version", None)) is not None:  # overwritten, and so not to be read
                    layout = None if one.shape is None else self._seen.states.layouts.shaped(one.shape)
                    kept.append((said, None, None, 0, layout, True, version, None))
                else:
                    lost = lost or one is not None
        self._lost = lost and not kept  # a node may have saved some tensors and left out others, but releases all
        return kept

    def _fact(self, name: str, saved: torch.Tensor, node: int | None, *, counted: bool) -> _Kept:
        seen = self._seen
        ref = seen.refs.get(id(saved))
        tensor, live = None, None
        if ref is not None:
            tensor = ref.tensor
            if ref.version is not None and seen.is_known(saved, ref):
                if ref.live is None:
                    seen.ask(saved)
                live = ref.live
        if ref is not None and live is not None:
            offset, layout = seen.states.placed(ref.state)
            return name, tensor, live.id, offset, layout, counted, ref.version, self._values(saved)
        live = seen.live_of(saved, node) if ref is None or not ref.lost else None
        if live is None:
            return name, tensor, None, 0, None, counted, None, None
        version = None if saved.is_inference() else saved._version
        try:
            offset, layout = seen.offset_of(saved, live), seen.states.layouts.of(saved)
        except RuntimeError:  # a nested tensor has no shape
            return name, tensor, live.id, 0, None, counted, version, None
        return name, tensor, live.id, offset, layout, counted, version, self._values(saved)


def _no_values(_: torch.Tensor) -> None:
    """What is read of a saved tensor where no values are."""


def _attributes_kept(node: Any) -> list[tuple[str, torch.Tensor]]:
    """What the forward of a custom function has kept as attributes."""
    return [(name, value) for name, value in list(vars(node).items()) if type(value) in PLAIN]
