"""Which calls are around the nodes of custom functions, which no call has made; each question is linear once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

from inplace.facts.model import NodeId, StateId
from inplace.facts.rows import column
from inplace.reading.trace.history import History
from inplace.reading.trace.places import Places


class CustomNodes:
    """The nodes that `apply` makes, before the calls of the forward and the use of its output."""

    def __init__(self, history: History, places: Places) -> None:
        self._history, self._places = history, places

    def following(self, node: NodeId) -> int | None:
        """The first call that began after a node was made."""
        starts = self._history.columns.nodes_start  # which never fall
        step = bisect_right(starts, node)
        return step if step < len(starts) else None

    def last_of_forward(self, node: NodeId) -> int:
        """The last call of the forward that a node was made for; the last before that where it made none."""
        return self._ends[bisect_right(self._least_stops, node)]

    def first_use(self, node: NodeId) -> tuple[int, StateId] | None:
        """The first call that was given the output of a node, and the state in which it was."""
        return self._uses.get(node)

    @cached_property
    def _least_stops(self) -> Sequence[int]:
        """The least number after the nodes of each call and of those after it.

        A backward ends after the calls of its hooks, so that these numbers fall; the least never do.
        """
        return [*accumulate(reversed(self._history.columns.nodes_stop), min)][::-1]

    @cached_property
    def _ends(self) -> Sequence[int]:
        """The last of the calls in forwards that go on from each step; the one before it where none does."""
        columns, end = self._history.columns, self._places.apply_frame_of
        inside = [end(stack) is not None for stack in columns.stacks]
        ends = [len(columns.stack) - 1]
        for step in reversed(range(len(columns.stack))):
            ends.append(ends[-1] if inside[columns.stack[step]] else step - 1)
        return ends[::-1]

    @cached_property
    def _uses(self) -> dict[NodeId, tuple[int, StateId]]:
        trace, columns = self._history.trace, self._history.columns
        wanted = {node.id for node in trace.nodes if node.step is None}
        found: dict[NodeId, tuple[int, StateId]] = {}
        if wanted:
            nodes = column(trace.states, "node")
            for place, state in enumerate(columns.before):
                node = NodeId(nodes[state])
                if node in wanted and node not in found:
                    found[node] = bisect_right(columns.begins, place) - 1, StateId(state)
        return found
