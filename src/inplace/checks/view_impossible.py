"""view-impossible: a view, or a new size, was asked for that the memory of the tensor does not allow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inplace.checks.finding import Cure, Finding
from inplace.facts.model import Call, TensorId, TensorState
from inplace.reading.trace.ending import Ending
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

_How = Literal["strides", "count", "storage", "foreign", "graph"]
_ENDINGS: dict[str, _How] = {
    "view strides": "strides",
    "view size": "count",
    "outside storage": "storage",
    "not resizable": "foreign",
    "resized": "graph",
}
_SAME_BYTES = frozenset({"t", "T", "mT", "transpose", "permute", "swapaxes", "swapdims", "movedim", "expand", "unfold"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewImpossible(Finding):
    """A refused view or change of size; the culprits are its line and the one that gave the tensor strides or memory.

    `how`: the elements do not lie as a view of that shape needs them (`strides`), there are more or fewer of them
    (`count`), the `storage` is too small, its memory is another library's (`foreign`), or autograd records the tensor
    (`graph`). `shape` and `strides` are the tensor's, in elements; None where it could not be read.
    """

    kind = "view-impossible"
    tensor: TensorId | None
    how: _How
    shape: tuple[int, ...] | None
    strides: tuple[int, ...] | None

    def cures(self) -> tuple[Cure, ...]:
        """A copy where the view can't be had, or memory of its own."""
        ways = {"strides": (Cure.RESHAPED,), "foreign": (Cure.OWN_MEMORY,)}
        return ways.get(self.how, ())

    def tensors(self) -> tuple[TensorId, ...]:
        """The tensor that a view was asked of."""
        return () if self.tensor is None else (self.tensor,)


def impossible_views(index: Index) -> Iterator[Finding]:
    """Yield the refusal with which the code ended, if it was one of a view or a size."""
    ending = index.ending
    how = _ENDINGS.get(ending.what) if ending is not None else None
    if ending is None or how is None:
        return
    name, state = _asked(index, ending)
    if how == "graph" and (state is None or state.is_leaf):
        return  # that is a leaf which was to be written
    made = _strides_by(index, state, ending.call) if state is not None and how == "strides" else ()
    if how == "foreign":
        made = _given_by(index, ending, name)
    spots = {place.spot: place for place in (*ending.places, *made)}
    yield ViewImpossible(
        severity="error",
        culprits=tuple(spots.values()),
        victim=None,
        names=index.names.told(
            first=[name] if name else [],
            tensors=[] if state is None else [state.tensor],
            places=[*ending.places[:1], *made],
        ),
        tensor=None if state is None else state.tensor,
        how=how,
        shape=None if state is None else state.layout.shape,
        strides=None if state is None else state.layout.strides,
        at=len(index.trace.calls),
    )


def _asked(index: Index, ending: Ending) -> tuple[str, TensorState | None]:
    """The tensor that a view was asked of: what went into the call that raised, else what the line mentions."""
    if ending.call is not None and ending.call.inputs:
        state = index.trace.states[ending.call.inputs[0].before]
        return next((name for name, one in ending.there if one.tensor == state.tensor), ""), state
    return ending.there[0] if len(ending.there) == 1 else ("", None)


def _given_by(index: Index, ending: Ending, name: str) -> tuple[Place, ...]:
    """The line that gave a tensor the name which it has where its memory can't grow."""
    above = index.places.code(ending.place).assignment_above(ending.place.position, name) if name else None
    return () if above is None else (index.places.beside(ending.place, above),)


def _strides_by(index: Index, state: TensorState, call: Call | None) -> tuple[Place, ...]:
    """The line of the call that gave a tensor the same bytes in another order."""
    maker = index.history.maker(state.tensor, call.step if call is not None else len(index.trace.calls))
    return index.places.chain(maker) if maker is not None and maker.function.label in _SAME_BYTES else ()
