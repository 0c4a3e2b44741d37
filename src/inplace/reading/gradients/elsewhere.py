"""Tensors that no recorded call made, and the lines that gave them their names: code of another thread, mostly."""

from __future__ import annotations

from inplace.facts.model import Call, TensorId
from inplace.reading.source.code import root_of
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place


def made_elsewhere(index: Index, tensor: TensorId, user: Call) -> tuple[Place, ...]:
    """The lines that put a tensor under its name, where it appeared while nothing at those lines was recorded.

    Args:
        index: of the trace.
        tensor: the tensor.
        user: a call that used it, whose source is looked into.
    """
    facts, here = index.trace.tensors[tensor], index.places.of(user)
    if facts.origin is not None or here is None:
        return ()
    code, ran = index.places.code(here), _lines_run(index, here)
    found: dict[Place, None] = {}
    for name in index.names.of(tensor):
        positions = code.assignments(name) or code.items_put_into(frozenset({root_of(name)}))
        for position in positions:
            if ran.isdisjoint(range(position.line, position.end_line + 1)):
                found[index.places.beside(here, position)] = None
    return tuple(found)


def _lines_run(index: Index, here: Place) -> set[int]:
    """The lines of a file on which a recorded call was made."""
    sites = index.trace.sites
    places = [(sites[frame.site], frame) for stack in index.history.columns.stacks for frame in stack.frames]
    return {
        line
        for site, _ in places
        if index.trace.sources[site.source].file == here.file
        for line in range(site.position.line, site.position.end_line + 1)
    }
