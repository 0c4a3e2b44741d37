"""In-place calls that PyTorch refused: on leaves, on views that forbid it, on inference tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inplace.checks.findings import (
    Finding,
    InferenceTensor,
    LeafViewWrite,
    LeafWrite,
    MultiOutputWrite,
    Victim,
)
from inplace.facts.model import Call, GradMode, TensorState
from inplace.reading.history import Write
from inplace.reading.index import Index

_FORBIDDING = frozenset({"multi_output_node", "multi_output_safe", "no_grad_mode", "in_custom_function"})


def refused_writes(index: Index) -> Iterator[Finding]:
    """Yield in-place calls that raised because of what they would have written to."""
    for write in index.writes:
        if write.call.raised is None or write.counted:
            continue
        finding = _refused(index, write)
        if finding is not None:
            yield finding


def _refused(index: Index, write: Write) -> Finding | None:
    state = write.before
    if not index.in_grad_mode(write.call):
        return None
    base = index.last_state(state.base) if state.base is not None else None
    if state.base is None and state.requires_grad and state.is_leaf:
        if _through_view(write):
            return LeafViewWrite(**_common(index, write), tensor=state.tensor, base=state.tensor)
        return LeafWrite(**_common(index, write), tensor=state.tensor)
    of_leaf = base is not None and base.requires_grad and base.is_leaf
    if state.creation in _FORBIDDING and state.base is not None and not (of_leaf and state.creation == "no_grad_mode"):
        maker = index.maker(state.tensor, write.call.step)
        made = index.place(maker) if maker is not None else None
        return MultiOutputWrite(**_common(index, write), tensor=state.tensor, creation=state.creation, made=made)
    if of_leaf and state.base is not None:
        return LeafViewWrite(**_common(index, write), tensor=state.tensor, base=state.base)
    if state.creation == "inference":
        return _inference(index, write.call, state)
    return None


def _through_view(write: Write) -> bool:
    """Whether an item assignment writes to a view: numbers and slices make one, a tensor index writes to the whole.

    See `torch/csrc/autograd/python_variable_indexing.cpp`, `THPVariable_setitem`.
    """
    indexed = any(argument.path == "1" for argument in write.call.inputs)
    return write.call.function.label == "__setitem__" and not indexed


def _common(index: Index, write: Write) -> dict[str, Any]:
    place = index.place(write.call)
    tensors = [write.before.tensor, *([write.before.base] if write.before.base is not None else [])]
    names = [name for tensor in tensors for name in index.names_of(tensor)]
    names = [*names, *index.names_at(place), *index.names_over(write.before.storage)]
    return {
        "severity": "error",
        "culprits": index.places(write.call),
        "victim": None,
        "names": tuple(dict.fromkeys(names)),
    }


def inference_tensors(index: Index) -> Iterator[Finding]:
    """Yield calls that raised because autograd can't save a tensor made under inference_mode."""
    for call in index.calls_at(sorted(index.columns.raised)):
        if call.raised is None or call.grad_mode is GradMode.INFERENCE or call.raised.type != "RuntimeError":
            continue
        states = [index.trace.states[argument.before] for argument in call.inputs]
        made = [state for state in states if state.creation == "inference"]
        if made and any(state.requires_grad for state in states):
            yield _inference(index, call, made[0])


def _inference(index: Index, call: Call, state: TensorState) -> InferenceTensor:
    maker = index.maker(state.tensor, call.step)
    place = index.place(call)
    culprits = index.places(maker) if maker is not None else ((place,) if place is not None else ())
    names = [*index.names_of(state.tensor), *index.names_at(*culprits)]
    return InferenceTensor(
        severity="error",
        culprits=culprits,
        victim=Victim(place, "") if place is not None else None,
        names=tuple(dict.fromkeys(names)),
        tensor=state.tensor,
    )
