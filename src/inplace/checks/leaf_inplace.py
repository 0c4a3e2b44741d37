"""leaf-inplace: an in-place call on a leaf that requires grad, or something set on it that it can't have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inplace.checks.finding import Cure, Finding
from inplace.facts.model import TensorId, TensorState
from inplace.reading.trace.index import Index
from inplace.reading.writes.refusals import Why, refusals

_BY_LABEL = {"data": "data", "resize_": "size", "resize_as_": "size"}
# What is told of the texts that no recorded call stands for; those about `data` and `grad` are about a leaf only.
_ENDINGS = {
    "leaf written": "write",
    "dirty leaf": "dirty",
    "element by element": "write",
    "resized": "size",
    "gradient assigned": "gradient",
    "data dtype": "data",
    "data type": "data",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafWrite(Finding):
    """An in-place call on a leaf that requires grad, refused by PyTorch.

    `how`: a `write` to it, also one of a custom function (`dirty`), another `size`, or what it can't have as its
    `gradient` or its `data`.
    """

    kind = "leaf-inplace"
    tensor: TensorId | None
    how: str = "write"

    def tensors(self) -> tuple[TensorId, ...]:
        """The leaf."""
        return () if self.tensor is None else (self.tensor,)

    def cures(self) -> tuple[Cure, ...]:
        """The update goes where autograd does not record; what is assigned is brought to the dtype of the leaf."""
        if self.how == "write":
            return (Cure.WITHOUT_GRAD, Cure.COPIED_INTO)
        return (Cure.GIVEN_ALIKE,) if self.how in {"gradient", "data"} else ()


def leaf_writes(index: Index) -> Iterator[Finding]:
    """Yield the calls that were refused for what they would have written to."""
    told = False
    for one in refusals(index, Why.LEAF):
        told = told or index.ending is None or index.ending.call is one.write.call
        yield LeafWrite(
            severity="error",
            culprits=index.places.chain(one.write.call),
            victim=None,
            names=one.names(index),
            tensor=one.write.before.tensor,
            how=_BY_LABEL.get(one.write.call.function.label, "write"),
        )
    if not told:
        yield from _of_ending(index)


def _of_ending(index: Index) -> Iterator[Finding]:
    """What PyTorch refused by its text, where that is about a leaf."""
    ending = index.ending
    how = _ENDINGS.get(ending.what) if ending is not None else None
    if ending is None or how is None:
        return
    leaf = ending.first(_is_leaf)
    if leaf is None and (ending.there or ending.what in {"element by element", "resized"}):
        return
    yield LeafWrite(
        severity="error",
        culprits=ending.places,
        victim=None,
        names=index.names_of_ending(*([] if leaf is None else [leaf[0]])),
        tensor=None if leaf is None else leaf[1].tensor,
        how=how,
        at=len(index.trace.calls),
    )


def _is_leaf(state: TensorState) -> bool:
    return state.requires_grad and state.is_leaf
