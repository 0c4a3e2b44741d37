"""export-refused: a tensor that autograd records was to be handed to numpy, dlpack or another process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inplace.checks.finding import Cure, Finding, Victim
from inplace.facts.model import Function, TensorId, TensorState
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_How = Literal["numpy", "dlpack", "process"]
_ENDINGS: dict[str, _How] = {"numpy": "numpy", "dlpack": "dlpack", "serialized": "process"}
_EXPORTS: dict[str, _How] = {"numpy": "numpy", "__array__": "numpy", "__dlpack__": "dlpack"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRefused(Finding):
    """A call that raised because what it would have given out is behind autograd's back.

    The culprit is the call that gave the tensor its graph, the victim the export, which is the culprit of a leaf.
    """

    kind = "export-refused"
    tensor: TensorId | None
    how: _How

    def tensors(self) -> tuple[TensorId, ...]:
        """The tensor that requires grad."""
        return () if self.tensor is None else (self.tensor,)

    def cures(self) -> tuple[Cure, ...]:
        """What is handed over is detached."""
        return (Cure.EXPORT_DETACHED,)


def refused_exports(index: Index) -> Iterator[Finding]:
    """Yield the exports that raised of tensors that require grad."""
    raised, columns, told = index.history.columns.raised, index.history.columns, False
    for step in sorted(raised):
        how = _how(columns.functions[columns.function[step]])
        call = index.trace.calls[step] if how is not None else None
        if call is None or how is None or not call.inputs:
            continue
        state = index.trace.states[call.inputs[0].before]
        if state.requires_grad:
            told = True
            yield _finding(index, how, state, step, index.places.chain(call))
    ending = index.ending
    refused = _ENDINGS.get(ending.what) if ending is not None else None
    if ending is not None and refused is not None and not told:
        given = ending.first(lambda state: state.requires_grad)
        yield _finding(index, refused, None if given is None else given[1], len(index.trace.calls), ending.places)


def _finding(index: Index, how: _How, state: TensorState | None, step: int, here: tuple[Place, ...]) -> ExportRefused:
    """What is said of a tensor that was to be handed out at a step, on some lines; None where it is not known."""
    maker = index.history.maker(state.tensor, step) if state is not None and not state.is_leaf else None
    made = index.places.chain(maker) if maker is not None else ()
    return ExportRefused(
        severity="error",
        culprits=made or here,
        victim=Victim.at(here[0]) if here and made else None,
        names=index.names.told(tensors=[] if state is None else [state.tensor], places=here[:1]),
        tensor=None if state is None else state.tensor,
        how=how,
        at=step,
    )


def _how(function: Function) -> _How | None:
    return _EXPORTS.get(function.label)
