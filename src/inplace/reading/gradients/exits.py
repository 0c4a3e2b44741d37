"""Values that left autograd for Python or numpy, and came back into what a loss was computed from."""

from __future__ import annotations

from collections.abc import Iterable

from inplace.facts.model import Call, Kind, Position, TensorId
from inplace.reading.trace.index import Index
from inplace.reading.trace.lineage import CutCall, Lineage, cuts_before
from inplace.reading.trace.place import Place

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
