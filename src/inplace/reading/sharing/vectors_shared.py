"""Vectors whose bytes parameters were given by `.data =`, where a copy of their values was meant.

`torch.nn.utils.vector_to_parameters` copies nothing: it sets the `.data` of each parameter to a view of the vector, and
what writes the parameters from then on, as a step does, writes the vector.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from inplace.facts.model import Call, Stack, TensorId
from inplace.reading.sharing.kept_bytes import derives, keeping_call
from inplace.reading.sharing.kept_objects import KeptObject
from inplace.reading.trace.history import Write, sets_data
from inplace.reading.trace.index import Index

_DEEPEST = 8  # views of views that are followed
_LOOKED_AT = 64  # settings behind a write that are asked what they set
_PARTS = frozenset(["__getitem__", "narrow", "view", "view_as", "reshape", "split", "data", "select", "unflatten"])


def vectors_shared(index: Index) -> Iterator[KeptObject]:
    """Yield the parameters that were given the bytes of a vector, were written, and whose vector was read again.

    Who lets parameters lie in one block on purpose sets them once and goes on with the block. So the vector must have
    been given to them again, or it was given by a function of PyTorch's, and nobody has written it by its own name.
    """
    setters: dict[Stack, list[Call]] = {}
    for call in index.history.calls_of(sets_data):
        if len(call.inputs) > 1:
            setters.setdefault(call.stack, []).append(call)
    for calls in setters.values():
        once = {
            (_vector(index, call), index.trace.states[call.inputs[0].after].tensor): call for call in reversed(calls)
        }
        found = (_of(index, call, calls) for call in reversed(once.values()))
        first = next((one for one in found if one is not None), None)
        if first is not None:
            yield first


def _of(index: Index, call: Call, setters: list[Call]) -> KeptObject | None:
    states = index.trace.states
    own, vector, keep = states[call.inputs[0].after], _vector(index, call), index.places.of(call)
    if vector is None or keep is None or index.trace.tensors[own.tensor].type != "Parameter":
        return None
    later = [
        one for one in index.history.writes_of(own) if one.call.step > call.step and not sets_data(one.call.function)
    ]
    if any(derives(index, one.before.tensor, vector) for one in later):
        return None
    write = next((one for one in later if one.before.tensor == own.tensor), None)
    read = _read(index, write, vector, call, setters) if write is not None else None
    reader = index.places.of(read) if read is not None else None
    last = index.history.last_state(vector)
    if write is None or reader is None or last is None:
        return None
    return KeptObject(keep, write.call, reader, last, next(iter(index.names.of(vector)), ""))


def _vector(index: Index, setter: Call) -> TensorId | None:
    """The tensor that a parameter was given a part of; it is no parameter."""
    given = tensor = index.trace.states[setter.inputs[1].before].tensor
    for _ in range(_DEEPEST):
        maker = keeping_call(index, tensor)
        if maker is None or maker.function.label not in _PARTS:
            break
        tensor = index.trace.states[maker.inputs[0].before].tensor
    return None if tensor == given or index.trace.tensors[tensor].type == "Parameter" else tensor


def _read(index: Index, write: Write, vector: TensorId, setter: Call, setters: list[Call]) -> Call | None:
    """The first call behind a write that read the vector: to set parameters by it again, or whatever it is."""
    step = write.call.step
    if setter.stack.frames and setter.stack.frames[0].entry is not None:
        sightings = index.history.sightings.get(vector, [])
        place = bisect_right(sightings, step, key=lambda one: one[0])
        return index.trace.calls[sightings[place][0]] if place < len(sightings) else None
    place = bisect_right(setters, step, key=lambda one: one.step)
    return next((one for one in setters[place : place + _LOOKED_AT] if _vector(index, one) == vector), None)
