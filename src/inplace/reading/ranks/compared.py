"""What the recordings of several processes are compared by: collectives in order, lines that made calls, gradients."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

from inplace.facts.collectives import SYNC_BUFFERS, is_between_two
from inplace.facts.model import TensorId
from inplace.reading.gradients.reached import reached_leaves
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

MOST = 10_000
"""Collectives, and lines, that are kept of one process."""


@dataclass(frozen=True, slots=True)
class CollectiveCall:
    """A collective as the others of its group must call it too: `group` are its ranks, none where they aren't known."""

    label: str
    group: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: str
    place: Place


class Compared:
    """What one process did, as far as it is to be the same in the others.

    Attributes:
        count: how many collectives were called, of which the first are in `order`.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self.count = 0

    @cached_property
    def order(self) -> list[CollectiveCall]:
        """The collectives that a group takes part in as a whole, in order."""
        index = self._index
        found: list[CollectiveCall] = []
        for one in index.trace.collectives:
            call = index.trace.calls[one.step]
            place = index.places.of(call)
            if is_between_two(call.function.label) or call.function.name == SYNC_BUFFERS or place is None:
                continue
            self.count += 1
            if len(found) < MOST:
                state = index.trace.states[call.inputs[-1].before] if call.inputs else None
                shape, dtype = ((), "") if state is None else (state.layout.shape, state.layout.dtype)
                found.append(CollectiveCall(call.function.label, one.group, shape, dtype, place))
        return found

    @cached_property
    def lines(self) -> dict[tuple[str, str], list[int]]:
        """The lines on which recorded calls were made, by file and function."""
        index = self._index
        found: dict[tuple[str, str], set[int]] = defaultdict(set)
        kept = 0
        columns = index.history.columns
        for stack in dict.fromkeys(columns.stacks[number] for number in dict.fromkeys(columns.stack)):
            for frame in stack.frames:
                site = index.places.site(frame)
                lines = found[index.trace.sources[site.source].file, site.function]
                if site.position.line not in lines and kept < MOST:
                    kept += 1
                    lines.add(site.position.line)
        return {key: sorted(lines) for key, lines in found.items()}

    @cached_property
    def reached(self) -> list[str]:
        """The names of the leaves that a backward has reached."""
        names = (self._name(leaf) for leaf in reached_leaves(self._index))
        return sorted(name for name in names if name)[:MOST]

    def _name(self, leaf: TensorId) -> str:
        return next(iter(self._index.names.of(leaf)), "")
