"""Tensors that were put away or given to another, written by whoever had them first, and read by their new name."""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice

from inplace.facts.model import Call, TensorState
from inplace.reading.sharing.kept_bytes import outside
from inplace.reading.sharing.kept_objects import KeptObject, KeptObjects
from inplace.reading.trace.index import Index
from inplace.reading.trace.origins import Origin
from inplace.reading.trace.spelled import chained_from, is_path

_LINES = 400  # lines that read something which are looked at
_WRITES = 4  # writes behind the line that kept something


def followed(index: Index, objects: KeptObjects) -> Iterator[KeptObject]:
    """Yield what lines read that was kept by a line and written since under another name, the last time each ran.

    That it follows may be wanted: of parameters it always is, so that those are left out.
    """
    columns = index.history.columns
    wanted = {number for number, stack in enumerate(columns.stacks) if stack.frames}
    keys = enumerate(zip(columns.stack, columns.function, strict=True))
    last = {key: step for step, key in keys if key[0] in wanted and columns.begins[step] < columns.begins[step + 1]}
    calls = (index.trace.calls[step] for step in sorted(last.values()))
    for call in islice((call for call in calls if index.spelled.of(call)), _LINES):
        yield from _read_by(index, objects, call)


def _read_by(index: Index, objects: KeptObjects, call: Call) -> Iterator[KeptObject]:
    spot, nodes, reader = objects.spot(call), index.spelled.of(call), index.places.of(call)
    written = {one.path for one in index.trace.writes(call)}
    for argument in call.inputs:
        node, state = nodes.get(argument.path), index.trace.states[argument.before]
        is_one = index.trace.tensors[state.tensor].type == "Parameter" or (state.is_leaf and state.requires_grad)
        if node is None or spot is None or reader is None or not is_path(node) or argument.path in written or is_one:
            continue
        for origin in objects.origins.of(node, spot):
            write = _written_since(index, objects, origin, call, state, node)
            if write is not None:
                yield KeptObject(objects.place(origin), write, reader, state, ast.unparse(node))
                break


def _written_since(
    index: Index, objects: KeptObjects, origin: Origin, read: Call, state: TensorState, node: ast.expr
) -> Call | None:
    """The first write behind the last run of a line that kept something, which was not made by what that gave it to."""
    runs = objects.runs.of(origin.source, origin.statement)
    place = bisect_left(runs, read.step) - 1
    begin = runs[place] if place >= 0 else read.step
    if _is_given_since(index, read, state, node, begin):
        return None
    for _ in range(_WRITES):
        write = objects.write_between(origin, state, begin, read.step)
        if write is None or not _is_by_what_was_kept(index, objects, origin, write, node):
            return write
        begin = write.step
    return None


def _is_given_since(index: Index, read: Call, state: TensorState, node: ast.expr, begin: int) -> bool:
    """Whether a later line has made what is read, and given it that name (`k = cache[:n]` under a condition)."""
    maker = index.trace.tensors[outside(index, state.tensor, read)].origin
    place = index.places.of(index.trace.calls[maker]) if maker is not None and maker > begin else None
    return place is not None and ast.unparse(node) in index.places.code(place).names_given(place.position)


def _is_by_what_was_kept(index: Index, objects: KeptObjects, origin: Origin, write: Call, node: ast.expr) -> bool:
    """Whether a write was made by the variable, the attribute or the container that a line had given something to."""
    spot, nodes = objects.spot(write), index.spelled.of(write)
    for one in index.trace.writes(write):
        by = nodes.get(one.path)
        if by is None or spot is None:
            continue
        by = chained_from(by)
        if _name(by) == _name(node) or any(
            origin.statement is other.statement for other in objects.origins.of(by, spot)
        ):
            return True
    return False


def _name(node: ast.expr) -> str:
    """The last attribute of an expression, or its variable."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else ast.unparse(node)
