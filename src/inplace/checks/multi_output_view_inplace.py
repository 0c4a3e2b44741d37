"""multi-output-view-inplace: an in-place call on a view that forbids it, such as one of several from one call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inplace.checks.finding import Cure, Finding, Victim
from inplace.facts.model import Call, TensorId, TensorState
from inplace.reading.gradients.unanswered import is_single_view
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place
from inplace.reading.writes.refusals import Why, refusals

_SEVERAL = frozenset({"multi_output_node", "multi_output_safe"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiOutputWrite(Finding):
    """An in-place call on one of several views that one call returned, or on a view made under no_grad.

    Where the victim is a call that was given one of several views, the culprit wrote to the bytes below all of them
    before: PyTorch accepts that, and refuses every use of the views from then on.
    """

    kind = "multi-output-view-inplace"
    tensor: TensorId
    creation: str
    made: Place | None

    def tensors(self) -> tuple[TensorId, ...]:
        """The view."""
        return (self.tensor,)

    def cures(self) -> tuple[Cure, ...]:
        """A stack of new pieces, or a copy where the view was made or before the write."""
        if self.victim is not None:
            return (Cure.OUT_OF_PLACE, Cure.CLONE_BEFORE, Cure.VIEWS_LATER)
        return (Cure.STACKED, Cure.CLONE_MADE, Cure.OUT_OF_PLACE, Cure.CLONE_BEFORE)


def multi_output_writes(index: Index) -> Iterator[Finding]:
    """Yield the calls that were refused for what they would have written to, then the uses of views that are void."""
    for one in refusals(index, Why.FORBIDDING_VIEW):
        state, call = one.write.before, one.write.call
        if call.function.label == "detach_":
            continue  # which writes no bytes: any view refuses it
        if one.write.after.creation == "no_grad_mode" and is_single_view(index, state, call.step):
            continue  # what is lost there is the gradient path
        maker = index.history.maker(state.tensor, call.step)
        yield MultiOutputWrite(
            severity="error",
            culprits=index.places.chain(call),
            victim=None,
            names=one.names(index),
            tensor=state.tensor,
            creation=one.write.after.creation or "",
            made=index.places.of(maker) if maker is not None else None,
        )
    yield from _void_views(index)


def _void_views(index: Index) -> Iterator[Finding]:
    """Yield the calls that raised since one of their arguments is one of several views whose bytes were written since.

    The `grad_fn` of such a view can't be made anew (`torch/csrc/autograd/variable.cpp`, `check_rebase_history`).
    """
    for call in index.history.calls_at(sorted(index.history.columns.raised)):
        for argument in call.inputs:
            state = index.trace.states[argument.before]
            writes = _below(index, state, call) if state.creation in _SEVERAL else []
            if writes:
                yield _void(index, call, state, writes)
                break


def _below(index: Index, state: TensorState, call: Call) -> list[Write]:
    """The writes to the bytes of a view that came between it and a call, and are not by itself in that call."""
    begun = index.trace.tensors[state.tensor].first_seen
    writes = index.history.writes_to.get(state.storage, ()) if state.storage is not None else ()
    found = [write for write in writes if begun < write.call.step < call.step and write.counted]
    return [write for write in found if write.after.requires_grad or state.requires_grad]


def _void(index: Index, call: Call, state: TensorState, writes: list[Write]) -> MultiOutputWrite:
    maker = index.history.maker(state.tensor, writes[0].call.step)
    culprits = tuple(dict.fromkeys(place for write in writes for place in index.places.chain(write.call)))
    tensors = [writes[0].before.tensor, state.tensor]
    return MultiOutputWrite(
        severity="error",
        culprits=culprits,
        victim=Victim.at(index.places.of(call)),
        names=index.names.told(tensors=tensors, places=culprits, storage=state.storage),
        tensor=state.tensor,
        creation=state.creation or "",
        made=index.places.of(maker) if maker is not None else None,
    )
