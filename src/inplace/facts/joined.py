"""Two traces of one session as one: what is kept of earlier runs of cells, and the run after them.

NOTE [ One history ]
Each run is recorded by itself, with ids of its own. What it met again of what earlier runs had seen is known by the
tensors that lived on (`Again`); with them go their storages and version counters, and the graph nodes that live on,
whose sequence numbers PyTorch gives out once. Everything else gets new ids. So the rest of the package reads a session
as it reads one run, and a long run is not copied: its rows are built with other numbers when they are asked for.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter
from typing import Any, TypeVar

from msgspec.structs import replace as struct_replace

from inplace.facts.model import (
    BEFORE,
    Call,
    CellRun,
    CounterId,
    Failure,
    GraphWalk,
    NodeId,
    Optimizer,
    SavedUse,
    Storage,
    StorageId,
    Tensor,
    TensorId,
    TensorState,
    Trace,
)
from inplace.facts.renumbered import Renumbered, optional
from inplace.facts.rows import NOTHING, CallColumns, Rows, Table, call_columns, column

Item = TypeVar("Item", Tensor, Storage)
Same = TypeVar("Same", bound=Hashable)
_replaced: Any = struct_replace
_STEPS = frozenset({"origin", "first_seen", "born", "died"})
_ANONYMOUS = -1_000_000_000  # node ids below it were given to nodes that are neither numbered nor a leaf's


@dataclass(frozen=True)
class Again:
    """The tensors of a run that earlier runs had seen.

    Attributes:
        tensors: their ids in the trace before, by those of the run.
        moved: those of the run that have other memory than they had when they were seen last.
        begun: whether the first walk of the run is one at its beginning, which is there to tell nodes and saves only.
    """

    tensors: Mapping[TensorId, TensorId]
    moved: frozenset[TensorId] = frozenset()
    begun: bool = False


def first_run(trace: Trace, run: CellRun) -> Trace:
    """A trace as the first run of a session, `run` but for where it begins."""
    return replace(trace, runs=(replace(run, begin=0),))


def alone(later: Trace, walks: AbstractSet[int], known: AbstractSet[NodeId]) -> Trace:
    """A run without what only `joined` can read: some walks, by place, and saves of nodes known from before it."""
    if not walks:
        return later
    kept = [
        replace(walk, uses=tuple(use for use in walk.uses if use.node not in known))
        for place, walk in enumerate(later.walks)
        if place not in walks
    ]
    reached = {node for walk in kept for node in walk.reached}
    return replace(later, walks=tuple(kept), nodes=tuple(node for node in later.nodes if node.id in reached))


def joined(earlier: Trace, later: Trace, again: Again, run: CellRun) -> tuple[Trace, Sequence[TensorId]]:
    """What is kept of earlier runs, and the run `later` after it, as the trace of that run; and its tensors' new ids.

    That run is `run`, but for where it begins and what ended it.
    `earlier` is the trace of a session, as this function and `first_run` give it, or what is kept of one.
    """
    ids = _Ids(earlier, later, again)
    failure = optional(ids.failure, later.failure)
    trace = Trace(
        torch=later.torch,
        sources=ids.all_sources,
        sites=ids.all_sites,
        calls=_JoinedCalls(earlier, later, ids),
        states=_JoinedStates(earlier, later, ids),
        tensors=_JoinedLives(earlier.tensors, later.tensors, ids.tensors, ids.fresh_tensors, ids.tensor, ids),
        storages=_JoinedLives(earlier.storages, later.storages, ids.storages, ids.fresh_storages, ids.storage, ids),
        nodes=(*earlier.nodes, *(ids.node(node) for node in later.nodes if ids.node_id(node.id) not in ids.known)),
        walks=(*_backwards(earlier.walks), *_walks(earlier, later, ids, later.walks[again.begun :])),
        changes=(*earlier.changes, *map(ids.change, later.changes)),
        shared=tuple({one.storage: one for one in (*earlier.shared, *map(ids.shared, later.shared))}.values()),
        names=(*earlier.names, *map(ids.name, later.names)),
        modules=(*earlier.modules, *later.modules),
        optimizers=_optimizers(earlier, later, ids),
        notes=later.notes,
        failure=failure,
        title=later.title,
        not_looked_at=(*earlier.not_looked_at, *map(ids.left_out, later.not_looked_at)),
        acts=(*earlier.acts, *map(ids.act, later.acts)),
        process=later.process,
        collectives=tuple(replace(one, step=ids.moment(one.step)) for one in later.collectives),
        runs=(*earlier.runs, replace(run, begin=ids.calls, failure=failure)),
    )
    return trace, ids.tensors


class _Ids(Renumbered):
    """What the ids of a run become behind what is kept of the runs before it."""

    tensors: list[TensorId]
    storages: list[StorageId]
    states: range

    def __init__(self, earlier: Trace, later: Trace, again: Again) -> None:
        super().__init__()
        self.calls, self.known = len(earlier.calls), frozenset(earlier.node_by_id)
        self.states = _behind_all(earlier.states, later.states)
        self.modules = _behind_all(earlier.modules, later.modules)
        self.tensors, self.fresh_tensors = _numbered(len(later.tensors), again.tensors, len(earlier.tensors))
        storages, self._counters = _shared(earlier, later, again)
        self.storages, self.fresh_storages = _numbered(len(later.storages), storages, len(earlier.storages))
        self._first_counter = 1 + max((s.counter for s in earlier.states if s.counter is not None), default=-1)
        anonymous = min((node.id for node in earlier.nodes), default=0)
        self._anonymous = min(0, anonymous - _ANONYMOUS)
        self.sources, self.all_sources = _one_of_each(earlier.sources, later.sources)
        self.sites, self.all_sites = _one_of_each(earlier.sites, tuple(map(self.site, later.sites)))

    def counter_id(self, counter: CounterId) -> CounterId:
        found = self._counters.get(counter)
        return CounterId(counter + self._first_counter) if found is None else found

    def node_id(self, node: NodeId) -> NodeId:
        """Sequence numbers are given out once; a leaf's node has minus one minus the leaf's id."""
        if node >= 0:
            return node
        if node > _ANONYMOUS:
            return NodeId(-1 - self.tensors[TensorId(-1 - node)])
        return NodeId(node + self._anonymous)

    def step(self, step: int) -> int:
        return step + self.calls

    def moment(self, step: int) -> int:
        """A number of calls made by then; before the first call of a run is after the last of the one before."""
        return self.calls if step == BEFORE else step + self.calls

    def failure(self, failure: Failure) -> Failure:
        there = tuple(map(self.name, failure.there))
        return replace(failure, stack=optional(self.stack, failure.stack), there=there)


def _behind_all(earlier: Sequence[object], later: Sequence[object]) -> range:
    """The places of some items behind others."""
    return range(len(earlier), len(earlier) + len(later))


def _numbered(count: int, same: Mapping[Any, Any], known: int) -> tuple[list[Any], list[int]]:
    """What ids become where those in `same` are known already, and the ids that are not."""
    fresh = [number for number in range(count) if number not in same]
    places: list[Any] = [0] * count
    for number, one in same.items():
        places[number] = one
    for place, number in enumerate(fresh, known):
        places[number] = place
    return places, fresh


def _shared(
    earlier: Trace, later: Trace, again: Again
) -> tuple[dict[StorageId, StorageId], dict[CounterId, CounterId]]:
    """The storages and counters of a run that earlier runs had seen: those of tensors and of saves that lived on."""
    storages: dict[StorageId, StorageId] = {}
    counters: dict[CounterId, CounterId] = {}
    last = {TensorId(tensor): number for number, tensor in enumerate(column(earlier.states, "tensor"))}
    left = set(again.tensors)
    for number, tensor in enumerate(column(later.states, "tensor")):
        if not left:
            break
        if tensor not in left:
            continue
        left.discard(TensorId(tensor))
        before = last.get(again.tensors[TensorId(tensor)])
        if before is None:
            continue
        was, now = earlier.states[before], later.states[number]
        if now.storage is not None and was.storage is not None and tensor not in again.moved:
            storages.setdefault(now.storage, was.storage)
        if now.counter is not None and was.counter is not None:
            counters.setdefault(now.counter, was.counter)
    for node in later.nodes:
        for was_saved, saved in (
            zip(earlier.node_by_id[node.id].saved, node.saved, strict=False)
            if (node.id >= 0 and node.id in earlier.node_by_id)
            else ()
        ):
            if saved.name == was_saved.name and saved.storage is not None and was_saved.storage is not None:
                storages.setdefault(saved.storage, was_saved.storage)
    return storages, counters


def _one_of_each(earlier: Sequence[Same], later: Sequence[Same]) -> tuple[list[int], tuple[Same, ...]]:
    """Where the sources, sites or stacks of a run are among all: one that is the same in everything is there once."""
    known = {one: number for number, one in enumerate(earlier)}
    fresh = [one for one in dict.fromkeys(later) if one not in known]
    known.update({one: number for number, one in enumerate(fresh, len(earlier))})
    return [known[one] for one in later], (*earlier, *fresh)


def _optimizers(earlier: Trace, later: Trace, ids: _Ids) -> tuple[Optimizer, ...]:
    found: dict[tuple[str, tuple[TensorId, ...]], Optimizer] = {}
    for one in (*earlier.optimizers, *map(ids.optimizer, later.optimizers)):
        known = found.get((one.type, one.params))
        found[one.type, one.params] = one if known is None or one.name is not None else known
    return tuple(found.values())


def _backwards(walks: Iterable[GraphWalk]) -> Iterator[GraphWalk]:
    """The walks without those at the end of earlier runs, which are no end any more."""
    return (walk for walk in walks if walk.is_backward)


def _walks(earlier: Trace, later: Trace, ids: _Ids, walks: Iterable[GraphWalk]) -> list[GraphWalk]:
    """The walks of a run; what a node of an earlier run had saved is compared with what it was then."""
    were: dict[tuple[NodeId, int], SavedUse] = {}
    hidden: dict[NodeId, list[SavedUse]] = defaultdict(list)
    for walk in earlier.walks:
        for use in walk.uses:
            were[use.node, use.saved] = use
    for (node, _), use in were.items():
        if earlier.node_by_id[node].name == "CopySlices":  # which shows nobody what it saved
            hidden[node].append(use)
    counters = {use.counter for uses in hidden.values() for use in uses if use.counter is not None}
    versions = _Versions(later, ids, counters)
    found = []
    for walk in walks:
        uses = []
        for use in walk.uses:
            node = ids.node_id(use.node)
            if node not in ids.known:
                uses.append(ids.use(use))
            elif (was := were.get((node, use.saved))) is not None and node not in hidden:
                uses.append(replace(was, version=use.version, changed=None))
        if hidden:
            for node in {*map(ids.node_id, walk.reached)}.difference(map(ids.node_id, walk.released)):
                uses += [
                    replace(was, version=versions.at(was, walk.step), changed=None) for was in hidden.get(node, ())
                ]
        found.append(ids.walk(walk, uses))
    return _one_in_the_end(found, ids.calls + len(later.calls))


def _one_in_the_end(walks: list[GraphWalk], end: int) -> list[GraphWalk]:
    """Walks, of which those at the end are one: of what the run has seen, and of what lives on beside it."""
    last = [walk for walk in walks if walk.step == end and not walk.is_backward]
    if len(last) <= 1:
        return walks
    uses = {(use.node, use.saved): use for walk in last for use in walk.uses}
    whole = replace(
        last[0],
        roots=tuple(dict.fromkeys(node for walk in last for node in walk.roots)),
        reached=tuple(dict.fromkeys(node for walk in last for node in walk.reached)),
        released=tuple(dict.fromkeys(node for walk in last for node in walk.released)),
        uses=tuple(uses.values()),
        complete=all(walk.complete for walk in last),
    )
    return [*(walk for walk in walks if walk.step != end or walk.is_backward), whole]


class _Versions:
    """The versions of some counters of earlier runs as a run saw them."""

    def __init__(self, later: Trace, ids: _Ids, counters: set[CounterId]) -> None:
        self._seen: dict[CounterId, list[tuple[int, int]]] = defaultdict(list)
        seen = column(later.states, "counter") if counters else ()
        known = {one: new for one in map(CounterId, {*seen} - {NOTHING}) if (new := ids.counter_id(one)) in counters}
        for step in call_columns(later.calls).seeing([one in known for one in seen]) if known else ():
            call = later.calls[step]
            for number in (*(one.after for one in call.inputs), *call.outputs):
                state = later.states[number]
                if state.counter in known and state.version is not None:
                    self._seen[known[state.counter]].append((step, state.version))

    def at(self, was: SavedUse, step: int) -> int | None:
        """The last version seen of the counter of a save before a step; as it was where the run has not met it."""
        seen = () if was.counter is None else self._seen.get(was.counter, ())
        place = bisect_left(seen, step, key=itemgetter(0))
        return seen[place - 1][1] if place else was.version


# ---------------------------------------------------------------- rows


class _JoinedCalls(Rows[Call]):
    def __init__(self, earlier: Trace, later: Trace, ids: _Ids) -> None:
        super().__init__(len(earlier.calls) + len(later.calls))
        self._earlier, self._later, self._ids = earlier.calls, later.calls, ids

    def _build(self, place: int) -> Call:
        before = len(self._earlier)
        return self._earlier[place] if place < before else self._ids.call(self._later[place - before])

    @cached_property
    def columns(self) -> CallColumns:
        """What all calls are asked for; see `call_columns`."""
        one, other, ids = call_columns(self._earlier), call_columns(self._later), self._ids
        states = ids.states.start
        places, stacks = _one_of_each(one.stacks, [*map(ids.stack, other.stacks)])
        return CallColumns(
            functions=[*one.functions, *other.functions],
            function=_behind(one.function, other.function, len(one.functions)),
            stacks=[*stacks],
            stack=_behind(one.stack, map(places.__getitem__, other.stack)),
            begins=_behind(one.begins[:-1], other.begins, len(one.before)),
            paths=[*one.paths, *other.paths],
            path=_behind(one.path, other.path, len(one.paths)),
            before=_behind(one.before, other.before, states),
            after=_behind(one.after, other.after, states),
            first_output=_behind(one.first_output, other.first_output, len(one.outputs)),
            output_count=_behind(one.output_count, other.output_count),
            outputs=_behind(one.outputs, other.outputs, states),
            nodes_start=[*one.nodes_start, *other.nodes_start],
            nodes_stop=[*one.nodes_stop, *other.nodes_stop],
            raised={**one.raised, **{step + ids.calls: error for step, error in other.raised.items()}},
        )


def _behind(one: Iterable[int], other: Iterable[int], shift: int = 0) -> array[int]:
    found = array("i", one)
    found.extend([number + shift for number in other] if shift else iter(other))  # no array extends one of another kind
    return found


class _JoinedStates(Table[TensorState]):
    def __init__(self, earlier: Trace, later: Trace, ids: _Ids) -> None:
        super().__init__(len(earlier.states) + len(later.states))
        self._earlier, self._later, self._ids = earlier.states, later.states, ids

    def _build(self, place: int) -> TensorState:
        before = len(self._earlier)
        return self._earlier[place] if place < before else self._ids.state(self._later[place - before])

    def _column(self, field: str) -> Sequence[int]:
        ids, later = self._ids, column(self._later, field)
        new: Mapping[str, Callable[[Any], int]] = {
            "tensor": ids.tensors.__getitem__,
            "storage": ids.storages.__getitem__,
            "counter": ids.counter_id,
        }
        if field in new:
            later = [number if number == NOTHING else new[field](number) for number in later]
        behind = _long if field == "node" else _behind  # sequence numbers may be large
        return behind(column(self._earlier, field), later)


class _JoinedLives(Table[Item]):
    """Tensors or storages: those of before, as they ended, and those that the run was the first to see."""

    def __init__(
        self,
        earlier: Sequence[Item],
        later: Sequence[Item],
        places: Sequence[int],
        fresh: Sequence[int],
        make: Callable[[Item], Item],
        ids: _Ids,
    ) -> None:
        super().__init__(len(earlier) + len(fresh))
        self._earlier: Sequence[Item] = _ended(earlier, later, places, ids)
        self._later: Sequence[Item] = later
        self._make: Callable[[Item], Item] = make
        self._fresh, self._calls = fresh, ids.calls

    def _build(self, place: int) -> Item:
        before = len(self._earlier)
        return self._earlier[place] if place < before else self._make(self._later[self._fresh[place - before]])

    def _column(self, field: str) -> Sequence[int]:
        values, shift = column(self._later, field), self._calls if field in _STEPS else 0
        fresh = (values[one] for one in self._fresh)
        return _long(column(self._earlier, field), [one if one < 0 else one + shift for one in fresh])


def _long(one: Iterable[int], other: Iterable[int]) -> array[int]:
    found = array("q", one)
    found.extend(iter(other))
    return found


def _ended(earlier: Sequence[Item], later: Sequence[Item], places: Sequence[int], ids: _Ids) -> list[Item]:
    """What earlier runs had seen, as it ended in this run or before it."""
    ends = {place: later[number].died for number, place in enumerate(places) if place < len(earlier)}
    found = []
    for place, one in enumerate(earlier):
        died = optional(ids.lived, ends[place]) if place in ends else ids.calls
        found.append(one if one.died is not None else _replaced(one, died=died))
    return found
