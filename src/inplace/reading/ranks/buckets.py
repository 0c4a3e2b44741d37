"""Gradients that the user has kept, and that lie in buckets which a later backward has filled again."""

from __future__ import annotations

from collections.abc import Iterator

from inplace.facts.collectives import REDUCED
from inplace.facts.model import BEFORE, TensorId
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index


def kept_gradients(index: Index) -> Iterator[tuple[Write, list[str]]]:
    """The first such write of each, and the names under which the user has it."""
    writes: dict[TensorId, Write] = {}
    for write in index.history.writes:
        if write.call.function.name == REDUCED:
            writes.setdefault(write.before.tensor, write)
    for tensor, first in writes.items():
        names = [name.path for name in index.trace.names if name.tensor == tensor and name.step != BEFORE]
        if names and first.before.storage is not None:
            yield first, names
