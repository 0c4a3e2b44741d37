"""export-refused: a tensor that autograd records was to be handed to numpy or dlpack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inplace.checks.finding import Cure, Finding, Victim
from inplace.facts.model import Function, TensorId, TensorState
from inplace.reading.index import Index

_How = Literal["numpy", "dlpack"]
_EXPORTS: dict[str, _How] = {"numpy": "numpy", "__array__": "numpy", "__dlpack__": "dlpack"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRefused(Finding):
    """A call that raised because what it would have given out is behind autograd's back.

    The culprit is the call that gave the tensor its graph, the victim the export, which is the culprit of a leaf.
    """

    kind = "export-refused"
    tensor: TensorId
    how: _How

    def tensors(self) -> tuple[TensorId, ...]:
        """The tensor that requires grad."""
        return (self.tensor,)

    def cures(self) -> tuple[Cure, ...]:
        """What is handed over is detached."""
        return (Cure.EXPORT_DETACHED,)


def refused_exports(index: Index) -> Iterator[Finding]:
    """Yield the exports that raised of tensors that require grad."""
    raised, columns = index.history.columns.raised, index.history.columns
    for step in sorted(raised):
        how = _how(columns.functions[columns.function[step]])
        call = index.trace.calls[step] if how is not None else None
        if call is None or how is None or not call.inputs:
            continue
        state: TensorState = index.trace.states[call.inputs[0].before]
        if state.requires_grad:
            maker, place = index.history.maker(state.tensor, step), index.places.of(call)
            made = index.places.chain(maker) if maker is not None and not state.is_leaf else ()
            yield ExportRefused(
                severity="error",
                culprits=made or index.places.chain(call),
                victim=Victim(place, "") if place is not None and made else None,
                names=index.names.told(tensors=[state.tensor], places=[place]),
                tensor=state.tensor,
                how=how,
            )


def _how(function: Function) -> _How | None:
    return _EXPORTS.get(function.label)
