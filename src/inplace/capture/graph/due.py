"""Before which backwards the graph is to be looked at, and noted.

NOTE [ Writes that no counter shows ]
What autograd has saved and somebody has overwritten since raises, if its version counter shows the write; then the
graph is looked at when it has. Other writes (`.data`, an array over the same memory) pass in silence, so each backward
with such a write since the last look of its line is to be looked at before it runs. To note a graph takes time and
memory, so after some of one line we ask first whether a node older than the write is reached at all, and has saved
bytes that were written:

- The numbers of nodes rise. Where no root is as old as the writes, and no call since the first of them has taken a
  tensor with a node that is, nothing below the roots is. The rows of the calls tell that; each is looked at once.
- Else the graph is gone through and of the older nodes is read what they have saved. Nothing is noted.

A write that hits for the first time has the graph noted, whenever that is; one line that always does, ever more rarely.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inplace.capture.bytes.contents import Change
from inplace.capture.graph.walk import Walker, Write
from inplace.capture.left_out import LeftOut
from inplace.capture.tables.call_log import GIVEN, GIVEN_WIDTH, SEQ0, STACK, WIDTH, CallLog
from inplace.capture.tables.tensor_facts import number_of
from inplace.capture.tables.tensor_states import States
from inplace.facts.model import Look, StorageId

WALKS = 64  # walks before backwards of one line after writes that no counter shows; then we ask, see above


class _Line:
    """A line that goes backward: how many writes had been by its last look, its looks, and the walks of each hit."""

    __slots__ = ("hits", "looks", "writes")

    def __init__(self, writes: int) -> None:
        self.writes, self.looks = writes, 0
        self.hits: dict[int | None, int] = {}


class WalksDue:
    """Knows the writes that no counter shows, and before which backwards somebody has to look for what they hit.

    Args:
        log: the calls.
        states: the states of their arguments.
        walker: what goes through graphs.
        left_out: where it is noted what was not looked at.
    """

    def __init__(self, log: CallLog, states: States, walker: Walker, left_out: LeftOut) -> None:
        self._log, self._states, self._walker, self._left_out = log, states, walker, left_out
        self._writes: list[Write] = []
        self._changes = 0  # changes of bytes that were taken among the writes
        self._lines: dict[int, _Line] = {}

    def wrote(self, storage: StorageId | None, node: int) -> None:
        """The call that was noted last has written where no counter shows it; `node` is the next node's number."""
        log = self._log
        if len(log):
            self._writes.append((len(log) - 1, node, storage, log.calls[STACK - WIDTH]))

    def changed(self, changes: Sequence[Change], node: int) -> None:
        """Take the new ones among all changes of bytes that others have made; see `Contents.changes`."""
        calls = self._log.calls
        for storage, _, before, stack, *_ in changes[self._changes :]:
            row = before * WIDTH + SEQ0
            number = calls[row] + self._log.origin if row < len(calls) else node
            self._writes.append((before - 1, number, storage, stack))
        self._changes = len(changes)

    def is_due(self, stack: int, roots: Sequence[Any], *, always: bool, first: bool) -> bool:
        """Whether the graph is to be noted before the backward that a line begins from the nodes `roots`.

        It `always` is, or for the `first` backward of each line, or else only where writes say so.
        """
        line = self._lines.get(stack)
        if line is None:
            line = self._lines[stack] = _Line(len(self._writes) if first else 0)
            if first:
                return True
        new = self._writes[line.writes :]
        if not new or always:
            line.writes = len(self._writes)
            return always
        line.looks += 1
        if line.looks <= WALKS:
            line.writes = len(self._writes)
            return True
        if not self._may_reach(new, roots):
            line.writes = len(self._writes)
            return False
        hits = {write[3] for write in self._walker.hits(roots, new)}
        line.writes = len(self._writes)
        rare = [hit for hit in hits if self._is_rare(line, hit)]
        if hits and not rare:
            self._left_out.note(Look.BACKWARD, WALKS, len(self._log), stack=stack)
        return bool(rare)

    @staticmethod
    def _is_rare(line: _Line, hit: int | None) -> bool:
        """Whether what a line has hit is to be noted this time: the first times, and then ever more rarely."""
        times = line.hits[hit] = line.hits.get(hit, 0) + 1
        return not times & (times - 1)  # a power of two

    def _may_reach(self, writes: Sequence[Write], roots: Sequence[Any]) -> bool:
        """Whether any node below the roots may be older than some of the writes."""
        first, newest = min(write[0] for write in writes), max(write[1] for write in writes)
        if any(number_of(root) < newest for root in roots):
            return True
        log, states = self._log, self._states
        row = (first + 1) * WIDTH + GIVEN
        begin = log.calls[row] if row < len(log.calls) else len(log.given)
        return any(states.may_be_older(state, newest, log.origin) for state in set(log.given[begin + 1 :: GIVEN_WIDTH]))
