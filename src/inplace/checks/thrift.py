"""The other way round: out-of-place calls that could have been in place, and what the graph kept for backward.

A call could be in place where its input is dead afterwards, nobody saved that input, and no other tensor shares its
bytes: then nobody can tell the difference, except by the bytes that are not allocated. Everything of this is observed;
where the graph was not looked at, nothing is advised.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from inplace.facts.model import Call, GraphWalk, Kind, Node, NodeId, Position, StorageId, TensorState, Trace
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

# Functions with a twin `name_` that gives the same values and gradients (`torch/_torch_docs.py`).
TWINS = frozenset(
    [
        "abs",
        "acos",
        "acosh",
        "add",
        "addcdiv",
        "addcmul",
        "asin",
        "asinh",
        "atan",
        "atanh",
        "ceil",
        "clamp",
        "clamp_max",
        "clamp_min",
        "cos",
        "cosh",
        "deg2rad",
        "digamma",
        "div",
        "erf",
        "erfc",
        "erfinv",
        "exp",
        "exp2",
        "expm1",
        "floor",
        "fmod",
        "frac",
        "hypot",
        "index_add",
        "index_fill",
        "lerp",
        "lgamma",
        "log",
        "log10",
        "log1p",
        "log2",
        "logit",
        "masked_fill",
        "masked_scatter",
        "mul",
        "nan_to_num",
        "neg",
        "pow",
        "rad2deg",
        "reciprocal",
        "relu",
        "remainder",
        "round",
        "rsqrt",
        "scatter",
        "scatter_add",
        "sigmoid",
        "sign",
        "sin",
        "sinc",
        "sinh",
        "sqrt",
        "square",
        "sub",
        "tan",
        "tanh",
        "tril",
        "triu",
        "trunc",
        "xlogy",
    ]
)
# Functions and modules that take `inplace=True` (`torch/nn/functional.py`).
FLAGS = frozenset(
    [
        "relu",
        "relu6",
        "elu",
        "selu",
        "celu",
        "leaky_relu",
        "hardtanh",
        "hardswish",
        "hardsigmoid",
        "silu",
        "mish",
        "threshold",
    ]
)
_LIBRARY = "Module."
_MOST = 40  # places told


@dataclass(frozen=True, slots=True)
class Advice:
    """A place whose calls could all be in place: `how` is the form to write, `saved` the bytes of one call."""

    place: Place
    function: str
    how: str
    times: int
    saved: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What the calls of one place have kept for a backward: the bytes of storages that no earlier place keeps too."""

    place: Place | None
    node: str
    saved: tuple[str, ...]
    times: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Thrift:
    """What a run could save, and what it kept for backward where it kept most, each with the most bytes first."""

    trace: Trace
    advice: tuple[Advice, ...]
    kept: tuple[Kept, ...]
    kept_bytes: int


def advise(index: Index) -> Thrift:
    """What the calls of a trace could save."""
    kept, total = _kept(index)
    return Thrift(index.trace, tuple(_advice(index)), kept, total)


# ---------------------------------------------------------------- what could be in place


def _advice(index: Index) -> list[Advice]:
    uses = _Uses(index)
    could: dict[tuple[str, Position], list[Call]] = defaultdict(list)
    refused: set[tuple[str, Position]] = set()
    for call in index.trace.calls:
        place = index.places.of(call)
        if place is None or call.function.kind is not Kind.OP:
            continue
        key = (place.file, place.position)
        if _has_twin(call) and uses.could_be_in_place(call):
            could[key].append(call)
        else:
            refused.add(key)
    found = []
    for key, calls in could.items():
        place = index.places.of(calls[0])
        if key in refused or place is None:
            continue
        label = calls[0].function.label
        how = "inplace=True" if calls[0].stack.frames[0].entry is not None or label not in TWINS else f"{label}_"
        found.append(Advice(place, label, how, len(calls), max(call.allocated for call in calls)))
    return sorted(found, key=lambda one: -one.saved * one.times)[:_MOST]


def _has_twin(call: Call) -> bool:
    """Whether the user can write a call in place: his own call of a function with a twin, or a module with a flag."""
    entry = call.stack.frames[0].entry
    if entry is None:
        return call.function.label in TWINS | FLAGS
    return entry.startswith(_LIBRARY) and call.function.label in FLAGS


class _Uses:
    """Who has to do with each storage, by one pass over the trace."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._trace = index.trace

    def could_be_in_place(self, call: Call) -> bool:
        """Whether nobody could tell if a call had written its result over its first argument."""
        given, out = self._ends(call)
        if given is None or out is None or given.storage is None or call.raised is not None or call.within is not None:
            return False
        same = given.layout == out.layout and given.storage != out.storage and call.allocated > 0
        leaf = given.requires_grad and given.is_leaf
        lone = given.base is None and out.base is None and len(self._index.history.tensors_of[given.storage]) == 1
        others = [argument for argument in call.inputs[1:] if self._state(argument.before).storage == given.storage]
        size = given.layout.numel * given.layout.itemsize
        whole = self._trace.storages[given.storage].bytes == size and not self._trace.storages[given.storage].external
        if not (same and lone and whole) or leaf or others or given.version is None:
            return False
        return self._is_dead_after(call, given) and not self._is_kept(given.storage)

    def _ends(self, call: Call) -> tuple[TensorState | None, TensorState | None]:
        if not call.inputs or call.inputs[0].path not in {"0", "input"} or len(call.outputs) != 1:
            return None, None
        return self._state(call.inputs[0].before), self._state(call.outputs[0])

    def _is_dead_after(self, call: Call, given: TensorState) -> bool:
        """Whether the argument is gone, was given out by a recorded call, and no later call sees it."""
        tensor = self._trace.tensors[given.tensor]
        seen = self._index.history.sightings[given.tensor]
        return tensor.died is not None and tensor.origin is not None and seen[-1][0] <= call.step

    def _is_kept(self, storage: StorageId) -> bool:
        return storage in self._kept or storage in self._unknown

    @cached_property
    def _kept(self) -> set[StorageId]:
        """The storages that some node was found to keep."""
        return {saved.storage for node in self._trace.nodes for saved in node.saved if saved.storage is not None}

    @cached_property
    def _unknown(self) -> set[StorageId]:
        """The storages that went into or came out of a call whose nodes were not, or could not be, looked at."""
        found: set[StorageId] = set()
        for call in self._trace.calls:
            if call.nodes and not all(_is_read(self._trace.node_by_id.get(NodeId(node))) for node in call.nodes):
                states = [self._state(argument.before) for argument in call.inputs]
                states += [self._state(state) for state in call.outputs]
                found.update(state.storage for state in states if state.storage is not None)
        return found

    def _state(self, state: int) -> TensorState:
        return self._trace.states[state]


def _is_read(node: Node | None) -> bool:
    """Whether all that a node saved is known: `CopySlices` hides what the node inside it saved, hooks pack saves."""
    if node is None or node.custom or node.name == "CopySlices":
        return False
    return all(saved.storage is not None for saved in node.saved)


# ---------------------------------------------------------------- what is kept


def _kept(index: Index) -> tuple[tuple[Kept, ...], int]:
    """What the walk that found most had kept, by place."""
    best: tuple[Kept, ...] = ()
    most = 0
    for walk in index.trace.walks:
        if walk.is_backward:
            found = tuple(_kept_by(index, walk))
            total = sum(one.bytes for one in found)
            if total > most:
                best, most = found, total
    return tuple(sorted(best, key=lambda one: -one.bytes)[:_MOST]), most


def _kept_by(index: Index, walk: GraphWalk) -> Iterator[Kept]:
    trace = index.trace
    leaves = index.history.leaf_storages  # alive in any case
    counted: set[StorageId] = set()
    places: dict[tuple[object, str], list[tuple[Place | None, str, int]]] = defaultdict(list)
    for number in sorted(walk.reached):
        node = trace.node_by_id[number]
        place = index.place_of_node(number) if node.leaf is None else None
        for saved in node.saved:
            if saved.storage is None or saved.storage in counted or saved.storage in leaves:
                continue
            counted.add(saved.storage)
            key = (place.file, place.position) if place is not None else None
            places[key, node.name].append((place, saved.name, trace.storages[saved.storage].bytes))
    for (_, name), found in places.items():
        names = tuple(dict.fromkeys(saved for _, saved, _ in found))
        yield Kept(found[0][0], name, names, len(found), sum(size for _, _, size in found))
