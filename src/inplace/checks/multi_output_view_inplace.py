"""multi-output-view-inplace: an in-place call on a view that forbids it, such as one of several from one call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inplace.checks.finding import Cure, Finding
from inplace.facts.model import TensorId
from inplace.reading.index import Index
from inplace.reading.place import Place
from inplace.reading.refusals import Why, refusals
from inplace.reading.unanswered import is_single_view


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiOutputWrite(Finding):
    """An in-place call on one of several views that one call returned, or on a view made under no_grad."""

    kind = "multi-output-view-inplace"
    tensor: TensorId
    creation: str
    made: Place | None

    def tensors(self) -> tuple[TensorId, ...]:
        """The view."""
        return (self.tensor,)

    def cures(self) -> tuple[Cure, ...]:
        """A copy where it was made, which is one change in place of one at each write; else one before the write."""
        return (Cure.CLONE_MADE, Cure.CLONE_BEFORE)


def multi_output_writes(index: Index) -> Iterator[Finding]:
    """Yield the calls that were refused for what they would have written to."""
    for one in refusals(index, Why.FORBIDDING_VIEW):
        state, call = one.write.before, one.write.call
        if state.creation == "no_grad_mode" and is_single_view(index, state, call.step):
            continue  # what is lost there is the gradient path
        maker = index.history.maker(state.tensor, call.step)
        yield MultiOutputWrite(
            severity="error",
            culprits=index.places.chain(call),
            victim=None,
            names=one.names(index),
            tensor=state.tensor,
            creation=state.creation or "",
            made=index.places.of(maker) if maker is not None else None,
        )
