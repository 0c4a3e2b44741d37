"""What was detached under another name and written by that, where the original is read again: both are one memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from inplace.facts.model import Call, Kind, TensorId
from inplace.reading.sharing.kept_bytes import KeptBytes, derives
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index

_READING = frozenset({Kind.OP, Kind.TO_PYTHON})  # a backward takes its root, and none of its values
_LOOKED_AT = 16  # writes behind a detach, and calls behind a write, that are asked what they take


def written_snapshots(index: Index) -> Iterator[KeptBytes]:
    """Yield the first of each line that detaches; not of parameters, which are often written so on purpose."""
    seen: set[object] = set()
    for keep in index.history.calls_of(lambda function: function.label == "detach"):
        if keep.stack in seen or keep.within is not None or not keep.inputs or not keep.outputs:
            continue
        source, made = (index.trace.states[one] for one in (keep.inputs[0].before, keep.outputs[0]))
        if index.trace.tensors[source.tensor].type == "Parameter" or not _is_named(index, keep):
            continue
        writes = index.history.writes_of(made)
        begin = bisect_right(writes, keep.step, key=lambda one: one.call.step)
        behind = writes[begin : begin + _LOOKED_AT]
        write = next((one for one in behind if derives(index, one.before.tensor, made.tensor)), None)
        read = _read_of(index, source.tensor, write) if write is not None else None
        if write is not None and read is not None:
            seen.add(keep.stack)
            given = next(one for one in read.inputs if index.trace.states[one.before].tensor == source.tensor)
            text = index.spelled.text(read, given.path)
            yield KeptBytes(keep, write, read, source, text, is_meant_apart=False)


def _is_named(index: Index, keep: Call) -> bool:
    """Whether a statement gives the result another name than what was detached has."""
    place = index.places.of(keep)
    if place is None or keep.stack.frames[0].entry is not None:
        return False
    names = index.places.code(place).names_given(place.position)
    return bool(names) and index.spelled.text(keep, "0") not in names


def _read_of(index: Index, tensor: TensorId, write: Write) -> Call | None:
    """The first call behind a write, by its tensor's old name, that reads it and writes nothing."""
    sightings = index.history.sightings.get(tensor, [])
    begin = bisect_right(sightings, write.call.step, key=lambda one: one[0])
    for step, _ in sightings[begin : begin + _LOOKED_AT]:
        call = index.trace.calls[step]
        given = any(index.trace.states[one.before].tensor == tensor for one in call.inputs)
        is_read = given and call.function.kind in _READING and call.within is None and call.stack.frames
        if is_read and not list(index.trace.writes(call)):
            return call
    return None
