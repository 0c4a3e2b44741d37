"""Parameters that were given the memory of another by `.data =`, where a copy of its values was meant."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from inplace.facts.model import Call, Stack, TensorId, TensorState
from inplace.reading.sharing.kept_bytes import outside
from inplace.reading.sharing.kept_objects import KeptObject
from inplace.reading.trace.history import sets_data
from inplace.reading.trace.index import Index

_LOOKED_AT = 16  # calls behind a write that are asked what they do


def data_shared(index: Index) -> Iterator[KeptObject]:
    """Yield the parameters that have the memory of another which is trained, and are read then: `t.data = o.data`.

    Who wants one weight in two places gives an optimizer both, or gives the module the parameter itself.
    """
    seen: set[Stack] = set()
    for call in index.history.calls_of(sets_data):
        if call.stack in seen or len(call.inputs) < 2:  # noqa: PLR2004  # the parameter, and what it is given
            continue
        found = _of(index, call)
        if found is not None:
            seen.add(call.stack)
            yield found


def _of(index: Index, call: Call) -> KeptObject | None:
    states, tensors = index.trace.states, index.trace.tensors
    own, given = states[call.inputs[0].after], states[call.inputs[1].before]
    source = outside(index, given.tensor, call)
    whole = index.history.last_state(source)
    if whole is None or source == own.tensor or {tensors[source].type, tensors[own.tensor].type} != {"Parameter"}:
        return None
    if (whole.storage, whole.offset, whole.layout) != (own.storage, own.offset, own.layout):
        return None
    writes = index.history.writes_of(own)
    later = writes[bisect_right(writes, call.step, key=lambda write: write.call.step) :]
    write = next((one for one in later if one.before.tensor == source), None)
    if write is None or any(states[one.before].tensor == own.tensor for one in write.call.inputs):
        return None
    read = _read(index, own, write.call.step, source)
    keep, reader = index.places.of(call), index.places.of(read) if read is not None else None
    text = index.spelled.text(call, call.inputs[0].path)
    if keep is None or reader is None or text is None:
        return None
    return KeptObject(keep, write.call, reader, own, text)


def _read(index: Index, own: TensorState, after: int, source: TensorId) -> Call | None:
    """The first call behind a step that was given a parameter, and not the one that it shares memory with."""
    sightings = index.history.sightings.get(own.tensor, [])
    first = bisect_right(sightings, after, key=lambda one: one[0])
    for step, _ in sightings[first : first + _LOOKED_AT]:
        call = index.trace.calls[step]
        given = {index.trace.states[one.before].tensor for one in call.inputs}
        if own.tensor in given and source not in given and not list(index.trace.writes(call)):
            return call
    return None
