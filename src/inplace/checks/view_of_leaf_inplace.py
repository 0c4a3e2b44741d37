"""view-of-leaf-inplace: an in-place call on a view of a leaf that requires grad."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inplace.checks.finding import Cure, Finding
from inplace.facts.model import TensorId
from inplace.reading.trace.index import Index
from inplace.reading.writes.refusals import Why, refusals


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafViewWrite(Finding):
    """An in-place call on a view of a leaf that requires grad, refused by PyTorch."""

    kind = "view-of-leaf-inplace"
    tensor: TensorId | None
    base: TensorId | None

    def tensors(self) -> tuple[TensorId, ...]:
        """The view, and the leaf."""
        return tuple(one for one in (self.tensor, self.base) if one is not None)

    def cures(self) -> tuple[Cure, ...]:
        """The update goes where autograd does not record."""
        return (Cure.WITHOUT_GRAD,)


def leaf_view_writes(index: Index) -> Iterator[Finding]:
    """Yield the calls that were refused for what they would have written to."""
    found = list(refusals(index, Why.VIEW_OF_LEAF))
    ending = index.ending
    if not found and ending is not None and ending.what == "view of leaf written":
        yield LeafViewWrite(
            severity="error",
            culprits=ending.places,
            victim=None,
            names=index.names_of_ending(),
            tensor=None,
            base=None,
            at=len(index.trace.calls),
        )
    for one in found:
        yield LeafViewWrite(
            severity="error",
            culprits=index.places.chain(one.write.call),
            victim=None,
            names=one.names(index),
            tensor=one.write.before.tensor,
            base=one.write.before.tensor if one.write.before.base is None else one.write.before.base,
        )
