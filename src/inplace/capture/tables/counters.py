"""Which tensors share a version counter: told by their bases and by the calls that gave them out, else inferred."""

from __future__ import annotations

import torch

from inplace.capture.tables.refs import TensorRef
from inplace.capture.tables.tensor_states import States
from inplace.facts.model import CounterId, StateId


class Counters:
    """Gives out the ids of version counters (`c10/core/TensorImpl.h`, Version Counter Sharing).

    A counter that no tensor met earlier counts with has the number of its tensor.

    Args:
        refs: what is known of each live tensor, by its `id`.
        states: the states noted.

    Attributes:
        split: whether any storage is reached by tensors with different counters.
    """

    def __init__(self, refs: dict[int, TensorRef], states: States) -> None:
        self._refs, self._states = refs, states
        self.split = False

    def of(
        self,
        known: TensorRef,
        version: int | None,
        base: torch.Tensor | None,
        aliases: tuple[StateId, ...],
        *,
        own: bool,
    ) -> CounterId | None:
        """The counter of a tensor met now, None where it has none; the arguments are those of `TensorsSeen.read`."""
        if version is None:
            return None
        if base is not None and (ref := self._refs.get(id(base))) is not None:
            return ref.counter
        if not own:
            for alias in aliases:
                storage, counter = self._states.counted(alias)
                if storage == known.storage and counter is not None:
                    return counter
            shared = known.live is not None and len(known.live.refs) > 1
            if not aliases and shared and (counter := self._of_twin(known, version)) is not None:
                known.guessed = True
                return counter
        return self._own(known)

    def _own(self, known: TensorRef) -> CounterId:
        """A counter that a tensor met now begins; others over the same storage don't count with it."""
        if known.live is not None and len(known.live.refs) > 1:
            known.live.split = self.split = True
        return CounterId(known.tensor)

    def check(self, known: TensorRef) -> None:
        """Correct a counter that was only inferred: of two tensors that share one, both have moved or neither."""
        known.guessed = False
        for ref in list(known.live.refs.values()) if known.live is not None else ():
            if ref is known or ref.counter != known.counter or (tensor := ref()) is None:
                continue
            if tensor._version != known.version:
                known.counter = self._own(known)
            return

    def _of_twin(self, known: TensorRef, version: int) -> CounterId | None:
        """The counter of a tensor over the same storage that stands at the same version, none where it can't be told.

        A tensor that no call gave out (`Parameter(t)`, `torch.Tensor(t)`) counts with the one it was made from.
        """
        for ref in list(known.live.refs.values()) if known.live is not None else ():
            if ref is not known and ref.version == version and ref() is not None:
                return ref.counter
        return None
