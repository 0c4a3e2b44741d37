"""inference-tensor: autograd was asked to save or to change a tensor that was made under inference_mode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inplace.checks.finding import Cure, Finding, Victim
from inplace.facts.model import Call, GradMode, TensorId, TensorState
from inplace.reading.index import Index
from inplace.reading.refusals import Why, refusals


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceTensor(Finding):
    """A tensor made under inference_mode that autograd was asked to save or to change."""

    kind = "inference-tensor"
    tensor: TensorId

    def tensors(self) -> tuple[TensorId, ...]:
        """The tensor without a version counter."""
        return (self.tensor,)

    def cures(self) -> tuple[Cure, ...]:
        """To give the call a copy that is made in grad mode."""
        return (Cure.CLONE_GIVEN,)


def inference_tensors(index: Index) -> Iterator[Finding]:
    """Yield writes to such a tensor that were refused, and calls that raised as autograd can't save or follow it."""
    for one in refusals(index, Why.INFERENCE):
        yield _finding(index, one.write.call, one.write.before)
    for call in index.history.calls_at(sorted(index.history.columns.raised)):
        if call.raised is None or call.grad_mode is GradMode.INFERENCE or call.raised.type != "RuntimeError":
            continue
        states = [index.trace.states[argument.before] for argument in call.inputs]
        made = [state for state in states if state.creation == "inference"]
        if made and (call.function.label == "requires_grad_" or any(state.requires_grad for state in states)):
            yield _finding(index, call, made[0])


def _finding(index: Index, call: Call, state: TensorState) -> InferenceTensor:
    maker = index.history.maker(state.tensor, call.step)
    place = index.places.of(call)
    culprits = index.places.chain(maker) if maker is not None else ((place,) if place is not None else ())
    return InferenceTensor(
        severity="error",
        culprits=culprits,
        victim=Victim.at(place),
        names=index.names.told(tensors=[state.tensor], places=culprits),
        tensor=state.tensor,
    )
