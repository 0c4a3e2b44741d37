"""What backward adds to gradients that the user's code has in hand.

NOTE [ Gradients that are added to ]
Where a leaf has a gradient, backward adds to it in place (`accumulate_grad.h`): whoever has kept that gradient finds it
changed, and a graph that has saved it can't be gone back through. No mode sees that. So the gradients that the user's
code has read, or put there, are asked for their version counter before and after each backward, and those that it has
moved are noted as written by a call of the backward's line.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

import torch

from inplace.capture.calls.call_notes import CallNotes
from inplace.capture.tables.refs import TensorRef
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.gradients import ACCUMULATED
from inplace.facts.model import Function, Kind, TensorId

_ACCUMULATED = Function(ACCUMULATED, "AccumulateGrad", Kind.OP, ("gradients",))


class Accumulated:
    """Notes which gradients each backward has added to.

    Args:
        notes: where the calls are noted.
        seen: where tensors get their ids.
    """

    def __init__(self, notes: CallNotes, seen: TensorsSeen) -> None:
        self._notes, self._seen = notes, seen
        self._known: dict[TensorId, TensorRef] = {}
        self._stacks: list[int] = []  # of the backwards that run

    def know(self, gradient: torch.Tensor) -> None:
        """The user's code has read a gradient, or put it there."""
        ref = self._seen.ref_of(gradient)
        if ref is not None and ref.version is not None:
            self._known[ref.tensor] = ref

    @property
    def known(self) -> AbstractSet[TensorId]:
        """The gradients that are known."""
        return self._known.keys()

    def live(self) -> Iterator[torch.Tensor]:
        """Those of them that are alive, each to be let go of soon."""
        return (gradient for ref in self._known.values() if (gradient := ref()) is not None)

    def hold(self, stack: int) -> None:
        """A backward is about to begin, from a stack of the user's."""
        self._stacks.append(stack)
        for number, ref in [*self._known.items()]:
            gradient = ref()
            if gradient is None:
                del self._known[number]
            else:
                self._seen.see(gradient)

    def added(self) -> None:
        """It has ended, or raised: note which of them it has added to."""
        if not self._stacks:
            return
        stack = self._stacks.pop()
        live = [(ref, gradient) for ref in self._known.values() if (gradient := ref()) is not None]
        moved = [gradient for ref, gradient in live if gradient._version != ref.version]
        if moved:
            self._notes.note_written(_ACCUMULATED, stack, [(f"gradients[{n}]", one) for n, one in enumerate(moved)])
