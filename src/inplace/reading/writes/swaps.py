"""Swaps in which one side is a view: it was overwritten before it was copied from (`x[0], x[1] = x[1], x[0]`)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from inplace.facts.model import TensorState
from inplace.reading.trace.history import SET_ITEM, Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.items import value_of


def swaps(index: Index) -> Iterator[tuple[Write, Write]]:
    """The two writes of each such statement."""
    items = [
        write for write in index.history.writes if write.call.function.label == SET_ITEM and write.call.raised is None
    ]
    for first, second in pairwise(items):
        if index.places.statement_of(first.call) != index.places.statement_of(second.call):
            continue
        value, source = value_of(index, second), value_of(index, first)
        if value is None or source is None or value.storage != first.after.storage:
            continue
        made = index.history.maker(value.tensor, second.call.step)
        if made is None or made.step >= first.call.step or not _written_by(index, first, value):
            continue
        yield first, second


def _written_by(index: Index, write: Write, view: TensorState) -> bool:
    """Whether an item assignment wrote the bytes of a view: the same view exists twice when both sides name it."""
    sighted = index.history.states_of(view.tensor)
    values = {state.values for state in sighted if state.values is not None}
    return len(values) > 1 or (len(values) == 0 and index.overlaps.of(write.after, view))
