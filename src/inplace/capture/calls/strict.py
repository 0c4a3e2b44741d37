"""Strict mode: stops a write before it destroys a save that a live graph still needs.

NOTE [ Whose counter a save shares ]
A save keeps a tensor of its own (`torch/csrc/autograd/saved_variable.h`), and no one tells whose version counter it
shares. So we move the counters of the tensors that are about to be written by one, look which saves have moved with
them, and move them back. That is what the write itself would do to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from inplace.capture.calls.functions import is_counted
from inplace.capture.graph.handles import saved_tensors
from inplace.capture.graph.walk import LIMIT, NodesBelow
from inplace.capture.left_out import LeftOut
from inplace.capture.tables.call_log import CallLog
from inplace.capture.tables.tensor_facts import node_of, number_of, set_versions
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.model import Function, Look


class Saves:
    """Finds the saves of live graphs that a write would destroy."""

    def __init__(self, seen: TensorsSeen, log: CallLog, place: Callable[[int], str | None], left_out: LeftOut) -> None:
        self._seen, self._log, self._place, self._left_out = seen, log, place, left_out

    def refusal(self, function: Function, step: int, tensors: list[torch.Tensor]) -> str | None:
        """Why the call at `step` is not to run, in a sentence; None where it destroys nothing."""
        if not is_counted(function):
            return None
        roots = [path.partition("[")[0] for path, _, _ in self._log.inputs(step)]
        written = [tensor for tensor, root in zip(tensors, roots, strict=True) if root in function.writes]
        found = self.destroyed_by(written) if written else None
        if found is None:
            return None
        node, saved, number = found
        maker = self._log.step_of(number)
        place = self._place(self._log.stack(maker)) if maker is not None else None
        made = f" made by {place}" if place else ""
        return (
            f"{function.label} would overwrite what {node}{made} has saved as {saved!r}, and backward through it would "
            "raise. Write out of place, or go backward first. (Stopped by inplace's strict mode.)"
        )

    def destroyed_by(self, written: Sequence[torch.Tensor]) -> tuple[str, str, int] | None:
        """A save that a write to some tensors would destroy: its node, its name, the node's number; None if none."""
        kept = list(self._live_saves())
        if not kept:
            return None
        before = [tensor._version for _, _, tensor in kept]
        with _moved([tensor for tensor in written if not tensor.is_inference()]):
            for (node, name, tensor), version in zip(kept, before, strict=True):
                if tensor._version != version:
                    return str(node.name()).removeprefix("torch::autograd::"), name, number_of(node)
        return None

    def _live_saves(self) -> Iterator[tuple[Any, str, torch.Tensor]]:
        """Node, name and tensor of what the graphs of the live tensors have saved and not yet lost."""
        live = [tensor for tensor in self._seen.live() if self._seen.may_ask(tensor)]
        below = NodesBelow((node for tensor in live if (node := node_of(tensor)) is not None), LIMIT)
        for node, _ in below:
            for name, tensor in saved_tensors(node):
                if not tensor.is_inference():
                    yield node, name, tensor
        if not below.is_complete:
            step = len(self._log) - 1
            self._left_out.note(Look.GRAPH, LIMIT, step, stack=self._log.stack(step))


@contextmanager
def _moved(tensors: Sequence[torch.Tensor]) -> Iterator[None]:
    """The version counters of some tensors stand one higher in the block."""
    # Two of them may share a counter: so all are read before any is moved.
    versions = [tensor._version for tensor in tensors]
    set_versions(tensors, [version + 1 for version in versions])
    try:
        yield
    finally:
        set_versions(tensors, versions)
