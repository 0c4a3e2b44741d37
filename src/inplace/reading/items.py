"""What an item assignment writes: the trace knows the tensor and what was given, the source which part is meant."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from inplace.facts.model import Layout, TensorState
from inplace.reading.history import Write
from inplace.reading.index import Index

SET_ITEM = "__setitem__"


def value_of(index: Index, write: Write) -> TensorState | None:
    """The tensor that an item assignment copies from; None where it is a number."""
    return next((index.trace.states[one.before] for one in write.call.inputs if one.path == "2"), None)


def part_of(index: Index, write: Write) -> TensorState | None:
    """The part that an item assignment writes, where its index is written out in numbers; None elsewhere."""
    place = index.places.of(write.call)
    target = None if place is None else index.places.code(place).indexed(place.position)
    return None if target is None else _sliced(write.before, target)


def shape_of(index: Index, write: Write) -> tuple[int, ...] | None:
    """The shape of the part that an item assignment writes, by numbers or by one mask; None where it isn't known."""
    part = part_of(index, write)
    if part is not None:
        return part.layout.shape
    given = [index.trace.states[one.before] for one in write.call.inputs if one.path.split("[")[0] == "1"]
    shape = write.before.layout.shape
    if len(given) != 1 or given[0].layout.dtype != "bool" or given[0].values is None:
        return None
    mask = given[0].layout.shape
    return (sum(map(bool, given[0].values)), *shape[len(mask) :]) if shape[: len(mask)] == mask else None


def fits(shape: Sequence[int], into: Sequence[int]) -> bool:
    """Whether a shape can be expanded to another, as an assignment does; leading sizes of 1 are dropped."""
    rest = list(shape)
    while len(rest) > len(into) and rest[0] == 1:
        del rest[0]
    if len(rest) > len(into):
        return False
    return all(size in (1, other) for size, other in zip(reversed(rest), reversed(into), strict=False))


def _sliced(state: TensorState, indices: Sequence[int | slice]) -> TensorState | None:
    """What basic indexing with numbers and slices makes of a tensor."""
    layout, offset = state.layout, state.offset
    if layout.strides is None or len(indices) > len(layout.shape):
        return None
    kept: list[tuple[int, int]] = []
    for number, (size, stride) in enumerate(zip(layout.shape, layout.strides, strict=True)):
        one = indices[number] if number < len(indices) else slice(None)
        if isinstance(one, int):
            offset += (one + size if one < 0 else one) * stride
            continue
        taken = range(size)[one]
        offset += taken.start * stride
        kept.append((len(taken), stride * taken.step))
    found = Layout(tuple(s for s, _ in kept), tuple(s for _, s in kept), layout.dtype, layout.itemsize, layout.device)
    return replace(state, offset=offset, layout=found)
