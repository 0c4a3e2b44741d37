"""What one recording hands on to the next of the same session: what is kept of its trace, and what may live on.

Nothing is kept alive: tensors are known by weak references.
"""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from inplace.capture.patches.ledger import Ledger
from inplace.capture.patches.weak_references import forgetting
from inplace.facts.model import NodeId, TensorId, Trace


class Carried:
    """What is handed on.

    Attributes:
        trace: what is kept of the runs so far; None where there was none.
    """

    def __init__(self, trace: Trace | None = None) -> None:
        self.trace = trace
        self._known: list[tuple[weakref.ref[torch.Tensor], TensorId, int, bool]] = []
        self._ledger = Ledger()

    @property
    def nodes(self) -> Collection[NodeId]:
        """The graph nodes that are known."""
        return () if self.trace is None else self.trace.node_by_id.keys()

    def add(self, tensor: weakref.ref[torch.Tensor], known: TensorId, pointer: int, *, watched: bool) -> None:
        """Hand on a tensor: its id in the trace, where its memory began, and whether others may write that."""
        self._known.append((tensor, known, pointer, watched))

    def rename(self, titles: Mapping[str, str]) -> None:
        """Call the runs of cells other names from now on."""
        if self.trace is None:
            return
        sources = tuple(replace(one, label=titles.get(one.label, one.label)) for one in self.trace.sources)
        runs = tuple(replace(one, title=titles.get(one.title, one.title)) for one in self.trace.runs)
        self.trace = replace(self.trace, sources=sources, runs=runs)

    def wait(self) -> None:
        """Until the next recording let `swap_tensors` through, which swaps no tensor that has weak references."""
        self._ledger.replace(torch.utils, "weakref", lambda theirs: forgetting(theirs, self._forget))

    def _forget(self, tensor: Any) -> None:
        self._known = [one for one in self._known if one[0]() is not tensor]

    def taken(self) -> Iterator[tuple[torch.Tensor, TensorId, int, bool]]:
        """The tensors that are alive, each to be let go of soon, as `add` was given them; they are handed on once."""
        self.end()
        known, self._known = self._known, []
        for ref, *facts in known:
            tensor = ref()
            if tensor is not None:
                yield tensor, *facts  # type: ignore[misc]
            del tensor

    def end(self) -> None:
        """Leave PyTorch as it was."""
        self._ledger.undo()
