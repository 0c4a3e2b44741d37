"""inference-tensor: autograd was asked to save or to change a tensor that was made under inference_mode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inplace.checks.finding import Cure, Finding, Victim
from inplace.facts.model import Call, GradMode, TensorId, TensorState
from inplace.reading.trace.ending import Ending
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place
from inplace.reading.writes.refusals import Why, refusals


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceTensor(Finding):
    """A tensor made under inference_mode that autograd was asked to save or to change."""

    kind = "inference-tensor"
    tensor: TensorId | None

    def tensors(self) -> tuple[TensorId, ...]:
        """The tensor without a version counter."""
        return () if self.tensor is None else (self.tensor,)

    def cures(self) -> tuple[Cure, ...]:
        """To give the call a copy that is made in grad mode, or to make the tensor under no_grad."""
        return (Cure.CLONE_GIVEN, Cure.NO_GRAD_MODE)


_ENDINGS = frozenset({"inference saved", "inference version", "inference written", "inference flag", "inference view"})


def inference_tensors(index: Index) -> Iterator[Finding]:
    """Yield writes to such a tensor that were refused, and calls that raised as autograd can't save or follow it."""
    told = set()
    for one in refusals(index, Why.INFERENCE):
        told.add(one.write.call.step)
        yield _finding(index, one.write.call, one.write.before)
    for call in index.history.calls_at(sorted(index.history.columns.raised)):
        if call.raised is None or call.grad_mode is GradMode.INFERENCE or call.raised.type != "RuntimeError":
            continue
        states = [index.trace.states[argument.before] for argument in call.inputs]
        made = [state for state in states if _is_inference(state)]
        asked = call.function.label == "requires_grad_" or any(state.requires_grad for state in states)
        if made and call.step not in told and asked:
            told.add(call.step)
            yield _finding(index, call, made[0])
    ending = index.ending
    if ending is not None and ending.what in _ENDINGS and (ending.call is None or ending.call.step not in told):
        yield _of_ending(index, ending)


def _is_inference(state: TensorState) -> bool:
    """Whether a tensor that can be read has no version counter."""
    return state.version is None and state.storage is not None


def _of_ending(index: Index, ending: Ending) -> InferenceTensor:
    """What PyTorch says of such a tensor on a line that called no function of which we know."""
    found = ending.first(lambda state: state.creation == "inference_mode" or _is_inference(state))
    made = _made(index, found[1].tensor, len(index.trace.calls)) if found is not None else ()
    return InferenceTensor(
        severity="error",
        culprits=made or ending.places,
        victim=Victim.at(ending.place) if made else None,
        names=index.names_of_ending(*([] if found is None else [found[0]])),
        tensor=None if found is None else found[1].tensor,
        at=len(index.trace.calls),
    )


def _made(index: Index, tensor: TensorId, step: int) -> tuple[Place, ...]:
    """Where a tensor was made: by the call that gave it out, else where it was first seen under inference mode.

    What is a view of one that was made so is of its kind, wherever it was taken.
    """
    givers = [one for one in index.history.givers.get(tensor, ()) if one < step]
    if givers and index.trace.calls[givers[0]].grad_mode is not GradMode.INFERENCE:
        givers = _made_below(index, tensor, givers[0]) or givers
    if givers:
        return index.places.chain(index.trace.calls[givers[0]])
    seen = [one for one, _ in index.history.sightings.get(tensor, ()) if one < step]
    first = index.trace.calls[seen[0]] if seen else None
    return index.places.chain(first) if first is not None and first.grad_mode is GradMode.INFERENCE else ()


def _made_below(index: Index, tensor: TensorId, step: int) -> list[int]:
    """The last call under inference mode that gave out what a view, made by a call outside of that, is of."""
    state = index.history.last_state(tensor)
    over = index.history.tensors_of.get(state.storage, ()) if state is not None and state.storage is not None else ()
    steps = sorted(one for other in over for one in index.history.givers.get(other, ())[:1] if one < step)
    made = [call for call in index.history.calls_at(steps) if call.grad_mode is GradMode.INFERENCE]
    first = index.places.statement_of(made[0]) if made else None
    return [call.step for call in made if index.places.statement_of(call) == first][-1:]


def _finding(index: Index, call: Call, state: TensorState) -> InferenceTensor:
    place = index.places.of(call)
    culprits = _made(index, state.tensor, call.step) or ((place,) if place is not None else ())
    return InferenceTensor(
        severity="error",
        culprits=culprits,
        victim=Victim.at(place),
        names=index.names.told(tensors=[state.tensor], places=[*culprits, place]),
        tensor=state.tensor,
    )
