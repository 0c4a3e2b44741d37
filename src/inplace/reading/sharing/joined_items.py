"""Lists that hold the same bytes twice and are given to one call, which joins them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Call, StorageId, TensorState
from inplace.reading.sharing.kept_objects import KeptObject, KeptObjects
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_JOINING = frozenset({"cat", "stack", "concat", "vstack", "hstack", "tensor"})


@dataclass(frozen=True, slots=True)
class JoinedItems:
    """Items of one list that are the same bytes, which were written after they first went out.

    Attributes:
        storage: the bytes.
        writes: the calls that wrote them.
        calls: those that gave out the tensors, and last the one that joins them.
        kept: the line that kept them and the write behind it, where both are known.
        changes: the lines that wrote them as memory of somebody else's, while the items were made.
        is_certain: whether somebody wrote them in between; which of them was there before a write need not be known.
    """

    storage: StorageId
    writes: list[Write]
    calls: list[Call]
    kept: KeptObject | None
    changes: list[Place]
    is_certain: bool


def joined_items(index: Index, objects: KeptObjects) -> Iterator[JoinedItems]:
    """Each of them once for a line."""
    told: set[object] = set()
    for call in index.history.calls_of(lambda function: function.label in _JOINING):
        for storage, states in _same_bytes(index, call).items():
            if (storage, call.stack) in told:
                continue
            told.add((storage, call.stack))
            writes = [write for write in index.history.writes_to.get(storage, ()) if write.call.step < call.step]
            calls = [*index.history.given_out({state.tensor for state in states}, call.step), call]
            path = next(one.path for one in call.inputs if "[" in one.path).split("[")[0]
            is_known, kept = objects.joined(call, path, states)
            moved, changes = _moved_unseen(index, states), _changed_between(index, storage, states)
            # What nobody wrote is meant (`cat((x, x))`); who writes what others own is not seen.
            is_external = index.trace.storages[storage].external and len({state.tensor for state in states}) > 1
            if kept is not None or writes or moved or is_external:
                is_certain = bool(changes) or (not is_known if writes else moved)
                yield JoinedItems(storage, writes, calls, kept, changes, is_certain)


def put_there(index: Index, call: Call) -> list[Place]:
    """Where the items of the list that a call was given were put into it."""
    place = index.places.of(call)
    if place is None:
        return []
    code = index.places.code(place)
    put = code.items_put_into(frozenset(code.roots(place.position)))
    return [index.places.beside(place, position) for position in put]


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
    versions = {index.trace.states[s].version for t in tensors for _, s in index.history.sightings.get(t, ())}
    return len(versions) > 1


def _changed_between(index: Index, storage: StorageId, states: list[TensorState]) -> list[Place]:
    """The lines that changed memory of somebody else's behind the first sight of one tensor and before that of another.

    Without a tensor of its own for each item nobody has collected what was there.
    """
    first = {index.history.sightings[state.tensor][0][0] for state in states}
    begin, end = min(first), max(first)
    changes = [one for one in index.trace.changes if one.storage == storage and begin <= one.after < one.before <= end]
    places = [index.places.of_stack(one.stack, None) for one in changes if one.stack is not None]
    return list({place.spot: place for place in places if place is not None}.values())
