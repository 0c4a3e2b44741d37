"""What an item assignment writes: the trace knows the tensor and what was given, the source which part is meant."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from contextlib import suppress

from msgspec.structs import replace

from inplace.facts.model import Layout, TensorState
from inplace.reading.source.code import number_of
from inplace.reading.source.literals import known_numbers, sizes_of
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index


def value_of(index: Index, write: Write) -> TensorState | None:
    """The tensor that an item assignment copies from; None where it is a number."""
    return next((index.trace.states[one.before] for one in write.call.inputs if one.path == "2"), None)


def part_of(index: Index, write: Write) -> TensorState | None:
    """The part that an item assignment writes; None where its index is not known.

    It is known where it is written out in numbers, with sizes of the tensor, with names that are assigned a number
    once, or with names whose values follow from the part that is read.
    """
    place = index.places.of(write.call)
    if place is None:
        return None
    code, value = index.places.code(place), value_of(index, write)
    target = code.indexed(place.position)
    if target is None and value is not None and value.storage == write.before.storage:
        own, read = code.copied_parts(place.position)
        sizes = sizes_of(code.receiver(place.position) or "", write.before.layout.shape)
        known = known_numbers(code, own, place.position, sizes)
        target = code.indexed(place.position, known | _solved(read, write.before, value))
    return None if target is None else _sliced(write.before, target)


def _solved(read: Sequence[ast.expr], base: TensorState, part: TensorState) -> dict[str, int]:
    """The values of the names in an index, by the part of a tensor that it gave out (`buf[:, :-n]`)."""
    strides, found = base.layout.strides, dict[str, int]()
    if strides is None or len(part.layout.shape) != len(strides) or len(read) > len(strides):
        return {}
    rest, starts = part.offset - base.offset, [0] * len(strides)
    for number in sorted(range(len(strides)), key=lambda one: -strides[one]):
        if strides[number] > 0:
            starts[number], rest = divmod(rest, strides[number])
    for one, start, size, length in zip(read, starts, base.layout.shape, part.layout.shape, strict=False):
        if isinstance(one, ast.Slice) and one.step is None and not rest:
            for end, at in ((one.lower, start), (one.upper, start + length)):
                if end is not None:
                    _solve(end, at, size, found)
    return found


def _solve(end: ast.expr, at: int, size: int, found: dict[str, int]) -> None:
    """Note what the one name in an end of a slice stands for, which came out at an element of a dimension."""
    names = {ast.unparse(one) for one in ast.walk(end) if isinstance(one, ast.Name | ast.Attribute)}
    names = {name for name in names if not any(other.startswith(name + ".") for other in names)}
    if len(names) != 1:
        return
    (name,) = names
    with suppress(ValueError):
        zero, one = number_of(end, {name: 0}), number_of(end, {name: 1})
        for wanted in (at, at - size):  # counted from the front, or from the end
            if (one - zero) and (wanted - zero) % (one - zero) == 0 and (value := (wanted - zero) // (one - zero)) > 0:
                found.setdefault(name, value)


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
