"""In-place calls that PyTorch refused, and whether it was for the tensor they would have written to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from inplace.facts.model import GradMode
from inplace.reading.trace.history import SET_ITEM, Write
from inplace.reading.trace.index import Index

_FORBIDDING = frozenset({"multi_output_node", "multi_output_safe", "no_grad_mode"})


class Why(Enum):
    """What a refused call would have written to."""

    LEAF = "leaf"
    VIEW_OF_LEAF = "view of a leaf"
    FORBIDDING_VIEW = "view that forbids it"
    CUSTOM_VIEW = "view that a custom function gave out"
    INFERENCE = "inference tensor"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A write that was refused, and why."""

    write: Write
    why: Why

    def names(self, index: Index) -> tuple[str, ...]:
        """What is called by a name: the tensor, its base, what the line mentions, and others over the storage."""
        state = self.write.before
        tensors = [state.tensor, *([state.base] if state.base is not None else [])]
        return index.names.told(tensors=tensors, places=[index.places.of(self.write.call)], storage=state.storage)


def refusals(index: Index, why: Why) -> Iterator[Refusal]:
    """The writes that were refused for one reason, in order."""
    for write in index.history.writes:
        if write.call.raised is not None and not write.counted and _why(index, write) is why:
            yield Refusal(write, why)


def _why(index: Index, write: Write) -> Why:
    state, creation = write.before, write.after.creation
    if write.call.grad_mode is not GradMode.GRAD:
        return Why.OTHER
    base = index.history.last_state(state.base) if state.base is not None else None
    if state.base is None and state.requires_grad and state.is_leaf:
        return Why.VIEW_OF_LEAF if _through_view(write) else Why.LEAF
    of_leaf = base is not None and base.requires_grad and base.is_leaf
    if creation == "in_custom_function" and state.base is not None:
        return Why.CUSTOM_VIEW
    if creation in _FORBIDDING and state.base is not None and not (of_leaf and creation == "no_grad_mode"):
        return Why.FORBIDDING_VIEW
    if of_leaf and state.base is not None:
        return Why.VIEW_OF_LEAF
    return Why.INFERENCE if state.creation == "inference" else Why.OTHER


def _through_view(write: Write) -> bool:
    """Whether an item assignment writes to a view: numbers and slices make one, a tensor index writes to the whole.

    See `torch/csrc/autograd/python_variable_indexing.cpp`, `THPVariable_setitem`.
    """
    indexed = any(argument.path == "1" for argument in write.call.inputs)
    return write.call.function.label == SET_ITEM and not indexed
