"""Names and container items that reach the same bytes, where one was written and another is read later."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise

from inplace.checks.findings import Finding, SharedReference
from inplace.facts.model import BEFORE, Call, Kind, StorageId, TensorId, TensorState
from inplace.reading.code import root_of
from inplace.reading.extents import overlaps
from inplace.reading.history import Write
from inplace.reading.index import Index
from inplace.reading.place import Place

_MOST = 6
_JOINING = frozenset({"cat", "stack", "concat", "vstack", "hstack", "tensor"})


def shared_references(index: Index) -> Iterator[Finding]:
    """Yield repeated items first (they are hardly ever meant), then swaps, then names that share what was written."""
    told: set[StorageId] = set()
    for finding in (*_repeated(index), *_swaps(index)):
        told.add(finding.storage)
        yield finding
    yield from _names_sharing(index, told)


def _repeated(index: Index) -> Iterator[SharedReference]:
    """A list given to one call holds the same bytes twice, and they were written after they first went out."""
    told: set[object] = set()
    for call in index.calls_of(lambda function: function.label in _JOINING):
        for storage, states in _same_bytes(index, call).items():
            writes = [write for write in index.writes_to.get(storage, ()) if write.call.step < call.step]
            sources = _given_out(index, {state.tensor for state in states}, call.step)
            if (storage, call.stack) in told:
                continue
            told.add((storage, call.stack))
            written = bool(writes) or _moved_unseen(index, states)
            yield _finding(index, storage, writes, [*sources, call], "repeated", "warning" if written else "info")


def _same_bytes(index: Index, call: Call) -> dict[StorageId, list[TensorState]]:
    found: dict[tuple[object, ...], list[TensorState]] = defaultdict(list)
    for argument in call.inputs:
        state = index.trace.states[argument.before]
        if "[" in argument.path and state.storage is not None and state.layout.numel:
            found[(argument.path.split("[")[0], state.storage, state.offset, state.layout)].append(state)
    return {states[0].storage: states for states in found.values() if len(states) > 1 and states[0].storage is not None}


def _moved_unseen(index: Index, states: list[TensorState]) -> bool:
    """Whether a tensor was seen at different versions though no call is known to have written it (`.grad`)."""
    tensors = {state.tensor for state in states}
    versions = {index.trace.states[s].version for t in tensors for _, s in index.sightings.get(t, ())}
    return len(versions) > 1


def _given_out(index: Index, tensors: Iterable[TensorId], before: int) -> list[Call]:
    """The calls before a step that gave out these tensors."""
    steps = {step for tensor in tensors for step in index.givers.get(tensor, ()) if step < before}
    return list(index.calls_at(sorted(steps)))


def _swaps(index: Index) -> Iterator[SharedReference]:
    """Within one statement a view was overwritten before it was copied from (`x[0], x[1] = x[1], x[0]`)."""
    items = [
        write for write in index.writes if write.call.function.label == "__setitem__" and write.call.raised is None
    ]
    for first, second in pairwise(items):
        if index.statement_of(first.call) != index.statement_of(second.call):
            continue
        value = next((index.trace.states[a.before] for a in second.call.inputs if a.path == "2"), None)
        source = next((index.trace.states[a.before] for a in first.call.inputs if a.path == "2"), None)
        if value is None or source is None or value.storage != first.after.storage:
            continue
        made = index.maker(value.tensor, second.call.step)
        if made is None or made.step >= first.call.step or not _written_by(index, first, value):
            continue
        yield _finding(index, value.storage, [first, second], [], "swap", "warning")


def _written_by(index: Index, write: Write, view: TensorState) -> bool:
    """Whether an item assignment wrote the bytes of a view: the same view exists twice when both sides name it."""
    sighted = index.states_of(view.tensor)
    values = {state.values for state in sighted if state.values is not None}
    return len(values) > 1 or (len(values) == 0 and overlaps(write.after, view))


def _names_sharing(index: Index, told: set[StorageId]) -> Iterator[SharedReference]:
    """Two variables of the user's reach bytes that were written while both did."""
    roots: dict[StorageId, dict[str, None]] = defaultdict(dict)
    paths: dict[StorageId, dict[str, None]] = defaultdict(dict)
    for name in index.trace.names:
        state = index.last_state(name.tensor)
        if state is None or state.storage is None or name.step == BEFORE:
            continue
        roots[state.storage][root_of(name.path)] = None
        paths[state.storage][name.path] = None
    for storage, found in sorted(roots.items()):
        writes = index.writes_to.get(storage, [])
        many = len(found) > 1 or _items_of_one(paths[storage])
        if storage in told or not many or not writes:
            continue
        writes = _while_shared(index, storage, writes)
        given_out = _given_out(index, index.tensors_of[storage], len(index.calls))
        makers = [call for call in given_out if call.function.kind is not Kind.BACKWARD]
        yield _finding(index, storage, writes, makers, "snapshot", "info")


def _while_shared(index: Index, storage: StorageId, writes: list[Write]) -> list[Write]:
    """The writes made once all the tensors with a name were there, without those of a module's own initialisation."""
    named = {name.tensor for name in index.trace.names if name.step != BEFORE}
    born = [index.trace.tensors[tensor].first_seen for tensor in named.intersection(index.tensors_of[storage])]
    later = [write for write in writes if write.call.step >= max(born, default=0)]
    own = [write for write in later if not _is_initial(write.call)]
    return own or later or writes


def _is_initial(call: Call) -> bool:
    return any(frame.entry is not None and frame.entry.endswith("__init__") for frame in call.stack.frames[:1])


def _items_of_one(paths: dict[str, None]) -> bool:
    """Whether several items of one plain container are the same bytes."""
    items = [path for path in paths if path.endswith("]")]
    return len(items) > 1


def _stored(index: Index, users: list[Call]) -> list[Place]:
    """Where the items of the list that a call was given were put into it."""
    found = []
    for call in users:
        place = index.place(call)
        if place is not None:
            code = index.code_of(place)
            put = code.items_put_into(frozenset(code.roots(place.position)))
            found += [Place(place.label, place.file, position, code.text(position), None) for position in put]
    return found


def _finding(
    index: Index, storage: StorageId | None, writes: list[Write], others: list[Call], how: str, severity: str
) -> SharedReference:
    places: dict[object, Place] = {}
    for call in [*(write.call for write in writes), *others]:
        for place in index.places(call):
            places.setdefault((place.file, place.position), place)
    for place in _stored(index, others[-1:]) if how == "repeated" else ():
        places.setdefault((place.file, place.position), place)
    culprits = tuple(places.values())[:_MOST]
    names = [*index.names_over(storage), *index.names_at(*culprits)]
    return SharedReference(
        severity="warning" if severity == "warning" else "info",
        culprits=culprits,
        victim=None,
        names=tuple(dict.fromkeys(names)),
        storage=storage if storage is not None else StorageId(-1),
        how=how,
        reaching=tuple(index.names_over(storage)),
    )
