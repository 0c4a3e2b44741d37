"""The graphs that are noted: before backwards, where a call has raised, and at the end."""

from __future__ import annotations

import torch

from inplace.capture.bytes.contents import Contents
from inplace.capture.calls.call_notes import sequence
from inplace.capture.continued import Continued
from inplace.capture.faults import GRAPHS, Faults
from inplace.capture.freeze import Raw
from inplace.capture.gradients import Gradients
from inplace.capture.graph.due import WalksDue
from inplace.capture.graph.singular import singular_nodes
from inplace.capture.graph.walk import LIMIT, Walked, Walker
from inplace.capture.tables.call_log import GIVEN_WIDTH, CallLog
from inplace.capture.tables.tensor_facts import node_of
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.model import Look, StorageId

# Backwards of one line before which infinite derivatives are looked for, then ever more rarely: where the graph has a
# node that could have one, and where it had none.
_SINGULAR, _PLAIN = 64, 4


class _Line:
    """A line that goes backward.

    Attributes:
        times: its backwards.
        may_be_singular: whether its graph had a node, when it was looked at, whose derivative can be infinite.
    """

    __slots__ = ("may_be_singular", "times")

    def __init__(self) -> None:
        self.times, self.may_be_singular = 0, False


class Walks:
    """Has graphs noted when they are to be.

    Args:
        walker: what goes through graphs.
        seen: where tensors get their ids.
        log: the calls.
        raw: where the graphs are noted, and what was not looked at.
        contents: what watches bytes that others write.
        gradients: is told of infinite derivatives.
        faults: catches ours.
        thorough: whether the graph is noted before every backward, and not before the first of each line only.
        light: whether it is noted only where writes say so.
    """

    def __init__(
        self,
        walker: Walker,
        seen: TensorsSeen,
        log: CallLog,
        raw: Raw,
        contents: Contents,
        gradients: Gradients,
        faults: Faults,
        *,
        thorough: bool,
        light: bool,
    ) -> None:
        self._walker, self._seen, self._log, self._raw = walker, seen, log, raw
        self._contents, self._gradients, self._faults = contents, gradients, faults
        self._thorough, self._light = thorough, light
        self._due = WalksDue(log, seen.states, walker, raw.left_out)
        self._lines: dict[int, _Line] = {}  # by stack
        self._steps: set[int] = set()  # before whose calls we have looked

    def wrote(self, storage: StorageId | None) -> None:
        """The call noted last has written where no counter shows it; None for any storage."""
        self._due.wrote(storage, sequence())

    def before(self, roots: list[torch.Tensor], stack: int) -> None:
        """A backward from some roots is about to be noted, which a line begins."""
        nodes = [node for root in roots if (node := node_of(root)) is not None]
        self._due.changed(self._contents.changes, sequence())
        if self._due.is_due(stack, nodes, always=self._thorough, first=not self._light):
            self._walk(roots, len(self._log), stack)
        if self._light:
            return
        line = self._lines.setdefault(stack, _Line())
        times = line.times = line.times + 1
        if times <= (_SINGULAR if line.may_be_singular else _PLAIN) or not times & (times - 1):
            found, line.may_be_singular = singular_nodes(nodes)
            self._gradients.singular(found, stack)

    def raised(self, roots: list[torch.Tensor], step: int) -> None:
        """The backward at a step has raised."""
        if step not in self._steps:
            self._walk(roots, step, self._log.stack(step))

    def end(self, continued: Continued | None) -> None:
        """Note what is there in the end, also what only the session needs, if the recording is a run of one."""
        seen, log = self._seen, self._log
        called = seen.states.tensors_in((log.outputs, log.given[1::GIVEN_WIDTH]))
        live = [t for t in seen.live(called) if t.requires_grad and seen.may_ask(t)]
        self._walk(live, len(log), None)
        if continued is not None:
            continued.walk_rest(called, len(log))

    def _walk(self, roots: list[torch.Tensor], step: int, stack: int | None) -> None:
        """Note the graph below some tensors before the backward at a step, made from `stack`; None at the end."""
        self._steps.add(step)
        nodes = [node for tensor in roots if (node := node_of(tensor)) is not None]
        if not nodes:
            return
        walked: Walked | None = self._faults.spared(GRAPHS, self._walker.walk, nodes)
        if walked is None:
            return
        self._raw.walks.append((step, stack is not None, walked))
        if not walked.is_complete:
            self._raw.left_out.note(Look.GRAPH, LIMIT, step, stack=stack)
