"""leaf-inplace: an in-place call on a leaf that requires grad."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inplace.checks.finding import Cure, Finding
from inplace.facts.model import TensorId
from inplace.reading.index import Index
from inplace.reading.refusals import Why, refusals


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafWrite(Finding):
    """An in-place call on a leaf that requires grad, refused by PyTorch."""

    kind = "leaf-inplace"
    tensor: TensorId

    def tensors(self) -> tuple[TensorId, ...]:
        """The leaf."""
        return (self.tensor,)

    def cures(self) -> tuple[Cure, ...]:
        """The update goes where autograd does not record."""
        return (Cure.WITHOUT_GRAD,)


def leaf_writes(index: Index) -> Iterator[Finding]:
    """Yield the calls that were refused for what they would have written to."""
    for one in refusals(index, Why.LEAF):
        yield LeafWrite(
            severity="error",
            culprits=index.places.chain(one.write.call),
            victim=None,
            names=one.names(index),
            tensor=one.write.before.tensor,
        )
