"""Two traces of one session as one: what is kept of earlier runs of cells, and the run after them.

NOTE [ One history ]
Each run is recorded by itself, with ids of its own. What it met again of what earlier runs had seen is known by the
tensors that lived on (`Again`); with them go their storages and version counters, and the graph nodes that live on,
whose sequence numbers PyTorch gives out once. Everything else gets new ids. So the rest of the package reads a session
as it reads one run, and a long run is not copied: its rows are built with other numbers when they are asked for.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from msgspec.structs import replace as struct_replace

from inplace.facts.model import (
    BEFORE,
    Act,
    Argument,
    Call,
    CellRun,
    ContentChange,
    CounterId,
    Edge,
    Failure,
    GradientAct,
    GraphWalk,
    Name,
    Node,
    NodeId,
    NotLookedAt,
    Optimizer,
    SavedTensor,
    SavedUse,
    Site,
    Source,
    Stack,
    StackFrame,
    StateId,
    Storage,
    StorageId,
    Tensor,
    TensorId,
    TensorState,
    Trace,
)
from inplace.facts.rows import NOTHING, CallColumns, Rows, Table, call_columns, column

Item = TypeVar("Item", Tensor, Storage)
_replaced: Any = struct_replace
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


def first_run(trace: Trace) -> Trace:
    """A trace as the first run of a session."""
    return replace(trace, runs=(CellRun(trace.title, 0, trace.failure),))


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


def joined(earlier: Trace, later: Trace, again: Again) -> tuple[Trace, Sequence[TensorId]]:
    """What is kept of earlier runs, and the run `later` after it, as the trace of that run; and its tensors' new ids.

    `earlier` is the trace of a session, as this function and `first_run` give it, or what is kept of one.
    """
    ids = _Ids(earlier, later, again)
    trace = Trace(
        torch=later.torch,
        sources=ids.sources,
        sites=(*earlier.sites, *(Site(ids.source[one.source], one.function, one.position) for one in later.sites)),
        calls=_JoinedCalls(earlier, later, ids),
        states=_JoinedStates(earlier, later, ids),
        tensors=_JoinedTensors(earlier, later, ids),
        storages=_JoinedStorages(earlier, later, ids),
        nodes=(*earlier.nodes, *(ids.node(node) for node in later.nodes if ids.number(node.id) not in ids.known)),
        walks=(*_backwards(earlier.walks), *_walks(earlier, later, ids, later.walks[again.begun :])),
        changes=(*earlier.changes, *(ids.change(change) for change in later.changes)),
        names=(*earlier.names, *(Name(n.path, ids.tensor[n.tensor], ids.moment(n.step)) for n in later.names)),
        modules=(*earlier.modules, *later.modules),
        optimizers=_optimizers(earlier, later, ids),
        notes=later.notes,
        failure=ids.failure(later.failure),
        title=later.title,
        not_looked_at=(*earlier.not_looked_at, *(ids.left_out(one) for one in later.not_looked_at)),
        acts=(*earlier.acts, *map(ids.act, later.acts)),
        runs=(*earlier.runs, CellRun(later.title, ids.calls, ids.failure(later.failure))),
    )
    return trace, ids.tensor


class _Ids:
    """What the ids of a run become behind what is kept of the runs before it."""

    def __init__(self, earlier: Trace, later: Trace, again: Again) -> None:
        self.calls, self.states = len(earlier.calls), len(earlier.states)
        self.sites, self.modules = len(earlier.sites), len(earlier.modules)
        self.known = frozenset(earlier.node_by_id)
        self.tensor: list[TensorId]
        self.storage: list[StorageId]
        self.tensor, self.fresh_tensors = _numbered(len(later.tensors), again.tensors, len(earlier.tensors))
        storages, self._counters = _shared(earlier, later, again)
        self.storage, self.fresh_storages = _numbered(len(later.storages), storages, len(earlier.storages))
        self._first_counter = 1 + max((s.counter for s in earlier.states if s.counter is not None), default=-1)
        anonymous = min((node.id for node in earlier.nodes), default=0)
        self._anonymous = min(0, anonymous - _ANONYMOUS)
        self.source, self.sources = _sources(earlier.sources, later.sources)
        self._stacks: dict[Stack, Stack] = {}

    def counter(self, counter: CounterId | None) -> CounterId | None:
        if counter is None:
            return None
        found = self._counters.get(counter)
        return CounterId(counter + self._first_counter) if found is None else found

    def number(self, node: NodeId) -> NodeId:
        """Sequence numbers are given out once; a leaf's node has minus one minus the leaf's id."""
        if node >= 0:
            return node
        if node > _ANONYMOUS:
            return NodeId(-1 - self.tensor[TensorId(-1 - node)])
        return NodeId(node + self._anonymous)

    def moment(self, step: int) -> int:
        """A number of calls made by then; before the first call of a run is after the last of the one before."""
        return self.calls if step == BEFORE else step + self.calls

    def stack(self, stack: Stack) -> Stack:
        found = self._stacks.get(stack)
        if found is None:
            frames = tuple(StackFrame(frame.site + self.sites, frame.entry) for frame in stack.frames)
            found = self._stacks[stack] = Stack(frames)
        return found

    def stack_or_none(self, stack: Stack | None) -> Stack | None:
        return None if stack is None else self.stack(stack)

    def failure(self, failure: Failure | None) -> Failure | None:
        return None if failure is None else replace(failure, stack=self.stack_or_none(failure.stack))

    def saved(self, saved: SavedTensor) -> SavedTensor:
        tensor = None if saved.tensor is None else self.tensor[saved.tensor]
        storage = None if saved.storage is None else self.storage[saved.storage]
        return replace(saved, tensor=tensor, storage=storage)

    def node(self, node: Node) -> Node:
        return replace(
            node,
            id=self.number(node.id),
            step=None if node.step is None else node.step + self.calls,
            edges=tuple(Edge(self.number(edge.node), edge.input) for edge in node.edges),
            saved=tuple(map(self.saved, node.saved)),
            leaf=None if node.leaf is None else self.tensor[node.leaf],
        )

    def change(self, change: ContentChange) -> ContentChange:
        after, before = change.after + self.calls, change.before + self.calls
        stack = self.stack_or_none(change.stack)
        return replace(change, storage=self.storage[change.storage], after=after, before=before, stack=stack)

    def act(self, act: GradientAct) -> GradientAct:
        nodes = act.act is Act.SINGULAR
        numbers = [self.number(NodeId(one)) if nodes else self.tensor[one] for one in act.numbers]
        return _replaced(act, step=self.moment(act.step), stack=self.stack(act.stack), numbers=tuple(numbers))  # type: ignore[no-any-return]

    def left_out(self, one: NotLookedAt) -> NotLookedAt:
        storage = None if one.storage is None else self.storage[one.storage]
        return replace(one, first=self.moment(one.first), stack=self.stack_or_none(one.stack), storage=storage)


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


def _sources(earlier: Sequence[Source], later: Sequence[Source]) -> tuple[list[int], tuple[Source, ...]]:
    """Where the sources of a run are among all: one that is the same in everything is shown once."""
    known = {source: number for number, source in enumerate(earlier)}
    fresh = [source for source in later if source not in known]
    known.update({source: number for number, source in enumerate(fresh, len(earlier))})
    return [known[source] for source in later], (*earlier, *fresh)


def _optimizers(earlier: Trace, later: Trace, ids: _Ids) -> tuple[Optimizer, ...]:
    found: dict[tuple[str, tuple[TensorId, ...]], Optimizer] = {}
    mapped = [replace(one, params=tuple(ids.tensor[param] for param in one.params)) for one in later.optimizers]
    for one in (*earlier.optimizers, *mapped):
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
    versions = _Versions(later, ids, {use.counter for uses in hidden.values() for use in uses})
    found = []
    for walk in walks:
        uses = []
        for use in walk.uses:
            node = ids.number(use.node)
            if node not in ids.known:
                uses.append(replace(use, node=node, counter=ids.counter(use.counter)))
            elif (was := were.get((node, use.saved))) is not None and node not in hidden:
                uses.append(replace(was, version=use.version, changed=None))
        if hidden:
            for node in {*map(ids.number, walk.reached)}.difference(map(ids.number, walk.released)):
                uses += [
                    replace(was, version=versions.at(was, walk.step), changed=None) for was in hidden.get(node, ())
                ]
        found.append(
            replace(
                walk,
                step=ids.moment(walk.step),
                roots=tuple(map(ids.number, walk.roots)),
                reached=tuple(map(ids.number, walk.reached)),
                released=tuple(map(ids.number, walk.released)),
                uses=tuple(uses),
            )
        )
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

    def __init__(self, later: Trace, ids: _Ids, counters: set[CounterId | None]) -> None:
        self._seen: dict[CounterId, list[tuple[int, int]]] = defaultdict(list)
        if counters:
            flags = [ids.counter(state.counter) in counters for state in later.states]
            for step in call_columns(later.calls).seeing(flags):
                call = later.calls[step]
                for number in (*(one.after for one in call.inputs), *call.outputs):
                    state, counter = later.states[number], ids.counter(later.states[number].counter)
                    if counter in counters and counter is not None and state.version is not None:
                        self._seen[counter].append((step, state.version))

    def at(self, was: SavedUse, step: int) -> int | None:
        """The last version seen of the counter of a save before a step; as it was where the run has not met it."""
        found = [version for one, version in self._seen.get(was.counter, ()) if one < step] if was.counter else []
        return found[-1] if found else was.version


# ---------------------------------------------------------------- rows


class _JoinedCalls(Rows[Call]):
    def __init__(self, earlier: Trace, later: Trace, ids: _Ids) -> None:
        super().__init__(len(earlier.calls) + len(later.calls))
        self._earlier, self._later, self._ids = earlier.calls, later.calls, ids

    def _build(self, place: int) -> Call:
        ids = self._ids
        if place < ids.calls:
            return self._earlier[place]
        call, states = self._later[place - ids.calls], ids.states
        return _replaced(  # type: ignore[no-any-return]
            call,
            step=place,
            stack=ids.stack(call.stack),
            inputs=tuple(
                [Argument(a.path, StateId(a.before + states), StateId(a.after + states)) for a in call.inputs]
            ),
            outputs=tuple([StateId(state + states) for state in call.outputs]),
            module=None if call.module is None else call.module + ids.modules,
            within=None if call.within is None else call.within + ids.calls,
        )

    @cached_property
    def columns(self) -> CallColumns:
        """What all calls are asked for; see `call_columns`."""
        one, other, ids = call_columns(self._earlier), call_columns(self._later), self._ids
        return CallColumns(
            functions=[*one.functions, *other.functions],
            function=_behind(one.function, other.function, len(one.functions)),
            stacks=[*one.stacks, *map(ids.stack, other.stacks)],
            stack=_behind(one.stack, other.stack, len(one.stacks)),
            begins=_behind(one.begins[:-1], other.begins, len(one.before)),
            paths=[*one.paths, *other.paths],
            path=_behind(one.path, other.path, len(one.paths)),
            before=_behind(one.before, other.before, ids.states),
            after=_behind(one.after, other.after, ids.states),
            first_output=_behind(one.first_output, other.first_output, len(one.outputs)),
            output_count=_behind(one.output_count, other.output_count, 0),
            outputs=_behind(one.outputs, other.outputs, ids.states),
            nodes_start=[*one.nodes_start, *other.nodes_start],
            nodes_stop=[*one.nodes_stop, *other.nodes_stop],
            raised={**one.raised, **{step + ids.calls: error for step, error in other.raised.items()}},
        )


def _behind(one: Iterable[int], other: Iterable[int], shift: int) -> array[int]:
    found = array("i", one)
    found.extend([number + shift for number in other] if shift else other)
    return found


class _JoinedStates(Table[TensorState]):
    def __init__(self, earlier: Trace, later: Trace, ids: _Ids) -> None:
        super().__init__(len(earlier.states) + len(later.states))
        self._earlier, self._later, self._ids = earlier.states, later.states, ids

    def _build(self, place: int) -> TensorState:
        ids = self._ids
        if place < ids.states:
            return self._earlier[place]
        state = self._later[place - ids.states]
        return _replaced(  # type: ignore[no-any-return]
            state,
            tensor=ids.tensor[state.tensor],
            storage=None if state.storage is None else ids.storage[state.storage],
            counter=ids.counter(state.counter),
            base=None if state.base is None else ids.tensor[state.base],
        )

    def _column(self, field: str) -> Sequence[int]:
        ids, later = self._ids, column(self._later, field)
        if field in {"tensor", "storage"}:
            places = ids.tensor if field == "tensor" else ids.storage
            later = [number if number == NOTHING else places[number] for number in later]
        elif field == "counter":
            known = [ids.counter(None if number == NOTHING else CounterId(number)) for number in later]
            later = [NOTHING if counter is None else counter for counter in known]
        return _behind(column(self._earlier, field), later, 0)


class _JoinedTensors(Table[Tensor]):
    def __init__(self, earlier: Trace, later: Trace, ids: _Ids) -> None:
        super().__init__(len(earlier.tensors) + len(ids.fresh_tensors))
        self._earlier, self._later, self._ids = (
            _ended(earlier.tensors, later.tensors, ids.tensor, ids),
            later.tensors,
            ids,
        )

    def _build(self, place: int) -> Tensor:
        if place < len(self._earlier):
            return self._earlier[place]
        ids = self._ids
        one = self._later[ids.fresh_tensors[place - len(self._earlier)]]
        return _replaced(  # type: ignore[no-any-return]
            one,
            id=TensorId(place),
            origin=_later_step(one.origin, ids),
            first_seen=_later_step(one.first_seen, ids),
            died=_later_step(one.died, ids),
        )

    def _column(self, field: str) -> Sequence[int]:
        return _moments(self._earlier, self._later, self._ids.fresh_tensors, field, self._ids.calls)


class _JoinedStorages(Table[Storage]):
    def __init__(self, earlier: Trace, later: Trace, ids: _Ids) -> None:
        super().__init__(len(earlier.storages) + len(ids.fresh_storages))
        self._earlier = _ended(earlier.storages, later.storages, ids.storage, ids)
        self._later, self._ids = later.storages, ids

    def _build(self, place: int) -> Storage:
        if place < len(self._earlier):
            return self._earlier[place]
        ids = self._ids
        one = self._later[ids.fresh_storages[place - len(self._earlier)]]
        return _replaced(  # type: ignore[no-any-return]
            one,
            id=StorageId(place),
            born=one.born if one.born == BEFORE else one.born + ids.calls,
            died=_later_step(one.died, ids),
        )

    def _column(self, field: str) -> Sequence[int]:
        shift = 0 if field == "bytes" else self._ids.calls
        return _moments(self._earlier, self._later, self._ids.fresh_storages, field, shift)


def _later_step(step: int | None, ids: _Ids) -> int | None:
    return step if step is None or step == BEFORE else step + ids.calls


def _moments(
    earlier: Sequence[object], later: Sequence[object], fresh: Sequence[int], field: str, shift: int
) -> Sequence[int]:
    values = column(later, field)
    return _long(column(earlier, field), [values[one] if values[one] < 0 else values[one] + shift for one in fresh])


def _long(one: Iterable[int], other: Iterable[int]) -> array[int]:
    found = array("q", one)
    found.extend(other)
    return found


def _ended(earlier: Sequence[Item], later: Sequence[Item], places: Sequence[int], ids: _Ids) -> list[Item]:
    """What earlier runs had seen, as it ended in this run or before it."""
    ends = {place: later[number].died for number, place in enumerate(places) if place < len(earlier)}
    found = []
    for place, one in enumerate(earlier):
        died = _later_step(ends[place], ids) if place in ends else ids.calls
        found.append(one if one.died is not None else _replaced(one, died=died))
    return found
