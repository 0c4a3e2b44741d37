"""Values that left what a loss was computed from: for Python or numpy, to come back, or for a copy that is lost."""

from __future__ import annotations

from collections.abc import Iterable

from inplace.facts.model import Call, Kind, Position, StorageId, TensorId
from inplace.reading.index import Index
from inplace.reading.lineage import CutCall, Lineage, cuts_before, live_input
from inplace.reading.place import Place

_KINDS = frozenset({Kind.TO_PYTHON, Kind.EXPORT})
_MOST = 200  # lines of exits that are followed


def exits_into(index: Index, backward: Call, behind: Lineage) -> list[CutCall]:
    """The exits before a backward whose values came into what is behind its loss, by bytes or by the source."""
    exported = _exported(index, backward.step)
    storages = {state.storage for state in behind.unknown.values()}
    entries = _entries(index, behind)
    found: list[CutCall] = []
    comes: dict[tuple[str, Position], bool] = {}
    for cut in cuts_before(index, backward.step):
        made = {index.trace.states[state].storage for state in cut.call.outputs}
        if cut.call.function.kind not in _KINDS and not made & exported:
            continue
        place = index.places.of(cut.call)
        if cut.given.storage in storages:
            found.append(cut)
        elif place is not None:
            key = place.file, place.position
            if key not in comes and len(comes) < _MOST:
                comes[key] = _comes_to(index, place, entries)
            if comes.get(key):
                found.append(cut)
    return found


def lost_copies(index: Index, backward: Call, behind: Lineage) -> list[CutCall]:
    """The writes before a backward of values with a gradient path into a copy that an index made, which nobody reads.

    In `canvas[mask][:, 0] = values` the first index makes a copy, where it is a mask or a list: the second writes into
    that. It is looked for among the copies of what is behind the loss.
    """
    states = index.trace.states
    used = {states[argument.before].storage for call in behind.calls.values() for argument in call.inputs}
    found = []
    for step in index.history.columns.steps_of(lambda one: one.label == "__getitem__", backward.step):
        call = index.trace.calls[step]
        if len(call.outputs) != 1 or not call.inputs:
            continue
        copy, source = states[call.outputs[0]].storage, states[call.inputs[0].before].storage
        writes = index.history.writes_to.get(copy, []) if copy is not None and copy != source else []
        if source not in used or not writes or _is_read(index, copy, writes[-1].call.step):
            continue
        for write in writes:
            live = live_input(index, write.call)
            if live is not None and index.places.statement_of(write.call) == index.places.statement_of(call):
                found.append(CutCall(write.call, live, "copy"))
    return found


def _is_read(index: Index, storage: StorageId | None, after: int) -> bool:
    """Whether a call behind a step took a tensor over a storage."""
    tensors = index.history.tensors_of.get(storage, []) if storage is not None else []
    return any(step > after for one in tensors for step, _ in index.history.sightings.get(one, ()))


def _exported(index: Index, before: int) -> set[object]:
    calls = [call for call in index.history.calls_of(lambda function: function.kind in _KINDS, before) if call.inputs]
    return {index.trace.states[call.inputs[0].before].storage for call in calls}


def _entries(index: Index, behind: Lineage) -> dict[str, set[Position]]:
    """The statements, by file, that computed what is behind a loss, or used what no call made."""
    found: dict[str, set[Position]] = {}
    for call in [*behind.calls.values(), *_users(index, behind.unknown)]:
        for frame in call.stack.frames:
            place = index.places.at(frame, None)
            statement = index.places.code(place).statement_at(place.position)
            if statement is not None:
                found.setdefault(place.file, set()).add(statement)
    return found


def _users(index: Index, unknown: Iterable[TensorId]) -> list[Call]:
    steps = {step for tensor in unknown for step, _ in index.history.sightings.get(tensor, ())[:1]}
    return [index.trace.calls[step] for step in sorted(steps)]


def _comes_to(index: Index, place: Place, entries: dict[str, set[Position]]) -> bool:
    reached = index.flow(place).from_(place.position)
    return not reached.isdisjoint(entries.get(place.file, ()))
