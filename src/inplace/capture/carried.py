"""What one run of a session hands on to the next: what is kept of its trace, and what may live on.

Nothing is kept alive: tensors are known by weak references.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch

from inplace.capture.patches.ledger import Ledger
from inplace.capture.patches.weak_references import forgetting
from inplace.facts.model import TensorId, Trace


class Living(NamedTuple):
    """A tensor that may live on: its id in the trace, where its memory began, and whether others may write that.

    `is_gradient` is whether it is a gradient that the user's code has in hand.
    """

    ref: weakref.ref[torch.Tensor]
    tensor: TensorId
    pointer: int
    watched: bool
    is_gradient: bool = False


@dataclass(eq=False, repr=False)
class Carried:
    """What is handed on.

    Attributes:
        trace: what is kept of the runs so far; None where there was none.
        living: the tensors of it that may live on.
        counters: the versions of the gradients of the parameters of each optimizer at its last step.
    """

    trace: Trace | None = None
    living: list[Living] = field(default_factory=list)
    counters: dict[tuple[TensorId, ...], list[int]] = field(default_factory=dict)
    _ledger: Ledger = field(default_factory=Ledger, init=False)

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
        self.living = [one for one in self.living if one.ref() is not tensor]

    def taken(self) -> Iterator[tuple[torch.Tensor, Living]]:
        """The tensors that are alive, each to be let go of soon, with what is known of it; they are handed on once."""
        self.end()
        living, self.living = self.living, []
        for one in living:
            tensor = one.ref()
            if tensor is not None:
                yield tensor, one
            del tensor

    def end(self) -> None:
        """Leave PyTorch as it was."""
        self._ledger.undo()
