"""non-scalar-loss: backward was begun at a tensor of several elements, without a gradient to begin with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inplace.checks.finding import Cure, Finding
from inplace.facts.model import Call, Kind, TensorId, TensorState
from inplace.reading.trace.index import Index

# Where the gradients to begin with are given (`torch/autograd/__init__.py`): to `grad`, and to the others.
_TO_GRAD, _TO_BACKWARD = frozenset({"2", "grad_outputs"}), frozenset({"1", "gradient", "grad_tensors"})
_ENDINGS: dict[str, Literal["several", "complex", "other shape"]] = {
    "not a scalar": "several",
    "not real": "complex",
    "begun otherwise": "other shape",
}
_ROOTS = frozenset({"0", "tensors", "outputs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NonScalarLoss(Finding):
    """A backward that raised because it can't begin at a tensor of several elements by itself.

    `how`: it has `several`, it is `complex`, or the gradient it was given has an `other shape`, which is `given`.
    """

    kind = "non-scalar-loss"
    tensor: TensorId | None
    shape: tuple[int, ...]
    how: Literal["several", "complex", "other shape"] = "several"
    given: str = ""

    def cures(self) -> tuple[Cure, ...]:
        """Its mean is what backward begins at."""
        return (Cure.REDUCED,) if self.how == "several" else ()

    def tensors(self) -> tuple[TensorId, ...]:
        """What backward was begun at."""
        return () if self.tensor is None else (self.tensor,)


def non_scalar_losses(index: Index) -> Iterator[Finding]:
    """Yield the backwards that raised and were begun at several elements without a gradient."""
    told = False
    for call in index.history.calls_at(sorted(index.history.columns.raised)):
        if call.function.kind is not Kind.BACKWARD or _has_gradient(call):
            continue
        root = next((state for state in _roots(index, call) if state.layout.numel != 1 and state.requires_grad), None)
        if root is not None:
            place = index.places.of(call)
            yield NonScalarLoss(
                severity="error",
                culprits=index.places.chain(call),
                victim=None,
                names=index.names.told(tensors=[root.tensor], places=[place]),
                tensor=root.tensor,
                shape=root.layout.shape,
            )
            told = True
    if not told:
        yield from _of_ending(index)


def _of_ending(index: Index) -> Iterator[Finding]:
    """What PyTorch says of the tensor at which a backward was begun, where the call shows it to have one element."""
    ending = index.ending
    how = _ENDINGS.get(ending.what) if ending is not None else None
    if ending is None or how is None:
        return
    roots = [] if ending.call is None else list(_roots(index, ending.call))
    named = ending.first(lambda state: not state.is_leaf)
    state = next((one for one in roots if one.requires_grad), None) or (named[1] if named is not None else None)
    yield NonScalarLoss(
        severity="error",
        culprits=ending.places,
        victim=None,
        names=index.names.told(
            first=[] if named is None else [named[0]],
            tensors=[] if state is None else [state.tensor],
            places=ending.places[:1],
        ),
        tensor=None if state is None else state.tensor,
        shape=() if state is None else state.layout.shape,
        how=how,
        given=ending.parts[0] if how == "other shape" else "",
        at=len(index.trace.calls),
    )


def _has_gradient(call: Call) -> bool:
    paths = _TO_GRAD if call.function.name.endswith(".grad") else _TO_BACKWARD
    return any(argument.path.split("[")[0] in paths for argument in call.inputs)


def _roots(index: Index, call: Call) -> Iterator[TensorState]:
    for argument in call.inputs:
        if argument.path.split("[")[0] in _ROOTS:
            yield index.trace.states[argument.before]
