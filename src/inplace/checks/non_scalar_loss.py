"""non-scalar-loss: backward was begun at a tensor of several elements, without a gradient to begin with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inplace.checks.finding import Finding
from inplace.facts.model import Call, Kind, TensorId, TensorState
from inplace.reading.index import Index

# Where the gradients to begin with are given (`torch/autograd/__init__.py`): to `grad`, and to the others.
_TO_GRAD, _TO_BACKWARD = frozenset({"2", "grad_outputs"}), frozenset({"1", "gradient", "grad_tensors"})
_ROOTS = frozenset({"0", "tensors", "outputs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NonScalarLoss(Finding):
    """A backward that raised because it can't begin at a tensor of several elements by itself."""

    kind = "non-scalar-loss"
    tensor: TensorId
    shape: tuple[int, ...]

    def tensors(self) -> tuple[TensorId, ...]:
        """What backward was begun at."""
        return (self.tensor,)


def non_scalar_losses(index: Index) -> Iterator[Finding]:
    """Yield the backwards that raised and were begun at several elements without a gradient."""
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


def _has_gradient(call: Call) -> bool:
    paths = _TO_GRAD if call.function.name.endswith(".grad") else _TO_BACKWARD
    return any(argument.path.split("[")[0] in paths for argument in call.inputs)


def _roots(index: Index, call: Call) -> Iterator[TensorState]:
    for argument in call.inputs:
        if argument.path.split("[")[0] in _ROOTS:
            yield index.trace.states[argument.before]
