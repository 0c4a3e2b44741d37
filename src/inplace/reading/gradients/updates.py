"""Leaves that lines of the user's update with their gradients: `p -= lr * p.grad`, in a loop or an optimizer's `step`.

NOTE [ Updates by hand ]
An update adds to a leaf in place, or gives it the sum of itself and more, and the gradient has flowed into that since
the backward before. Where the difference of two tensors has, or a copy that was kept of the gradient at an update
before, the sum of all gradients may be what was meant: then it is none that is known.
A gradient that was read is asked for its version before and after each backward (NOTE [ Gradients that are added to ]):
where those follow each other without a gap, nothing that no call shows has written it in between. Of earlier runs of
cells those behind the last gap are looked at.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise

from inplace.facts.gradients import ACCUMULATED
from inplace.facts.model import Argument, Call, StorageId, TensorId
from inplace.reading.trace.gradient_events import reads_grad
from inplace.reading.trace.history import Write, sets_data
from inplace.reading.trace.index import Index

_ADDING = frozenset({"add_", "sub_", "addcdiv_", "addcmul_", "_foreach_add_", "_foreach_sub_", "_foreach_addcdiv_"})
_GIVING = frozenset({"copy_", "data"})
_SUMS = frozenset({"add", "sub"})
_DIFFERENCES = frozenset({"sub", "rsub", "sub_", "_foreach_sub", "_foreach_sub_"})
_COPIES = frozenset({"clone", "copy_"})
_DEEPEST = 6  # calls between a gradient and an update


@dataclass(frozen=True, slots=True)
class Updates:
    """The updates of one leaf, each behind backwards that have added to the same gradient, and all these backwards."""

    leaf: TensorId
    updates: tuple[Call, ...]
    backwards: tuple[Call, ...]


def updates_by_hand(index: Index, but: AbstractSet[TensorId]) -> Iterator[Updates]:
    """Yield the leaves, but some, to whose one gradient backwards have added, and that were updated with it."""
    moved = _moved(index)
    for leaf, gradient in _gradients(index).items():
        if leaf in but:
            continue
        every = index.history.writes_to.get(gradient, [])
        writes = _behind_gaps(every)
        added = [one for one in writes if one.call.function.name == ACCUMULATED]
        is_whole = all(one.call.step < index.gradients.since for one in every[: len(every) - len(writes)])
        if added and is_whole and not index.history.changes_of.get(gradient):
            begin = 0 if len(writes) == len(every) else added[0].call.step
            updates = tuple(_updates(index, leaf, gradient, begin, added, moved[leaf]))
            yield Updates(leaf, updates, tuple(one.call for one in added))


def _behind_gaps(writes: list[Write]) -> list[Write]:
    """The last writes of a tensor that follow each other."""
    gaps = [place for place, (one, two) in enumerate(pairwise(writes), 1) if one.after.version != two.before.version]
    return writes[gaps[-1] :] if gaps else writes


def _gradients(index: Index) -> dict[TensorId, StorageId]:
    """The memory of the gradient of each leaf that lines of the user's have read, where it has always been the same."""
    states = index.trace.states
    found: dict[TensorId, set[StorageId | None]] = defaultdict(set)
    for call in index.history.calls_of(reads_grad):
        if call.inputs:
            found[states[call.inputs[0].before].tensor].update(states[output].storage for output in call.outputs)
    return {leaf: one for leaf, met in found.items() if len(met) == 1 and (one := next(iter(met))) is not None}


def _moved(index: Index) -> dict[TensorId, list[Call]]:
    """The calls that gave each tensor other memory (`.data = …`)."""
    found: dict[TensorId, list[Call]] = defaultdict(list)
    for call in index.history.calls_of(sets_data):
        if len(call.inputs) > 1:
            found[index.trace.states[call.inputs[0].before].tensor].append(call)
    return found


def _updates(
    index: Index, leaf: TensorId, gradient: StorageId, begin: int, added: list[Write], moved: list[Call]
) -> Iterator[Call]:
    """The first update of a leaf from `begin` to the first backward that added to its gradient, and behind each."""
    begins = [begin, *(one.call.step for one in added)]
    own = frozenset(state.storage for state in index.history.states_of(leaf))
    taken: set[int] = set()
    for call in _writes(index, own, moved):
        turn = bisect_left(begins, call.step) - 1
        if turn >= 0 and turn not in taken and _is_update(call, _Flow(index, own, gradient, begins[turn])):
            taken.add(turn)
            yield call


def _writes(index: Index, own: frozenset[StorageId | None], moved: list[Call]) -> list[Call]:
    """The calls that wrote the memory of a leaf, and those that gave it another, in order."""
    memory = [storage for storage in own if storage is not None]
    writes = (one.call for storage in memory for one in index.history.writes_to.get(storage, ()))
    found = {call.step: call for call in (*writes, *moved)}
    return [found[step] for step in sorted(found)]


def _is_update(call: Call, flow: _Flow) -> bool:
    """Whether a call adds what has come of a gradient to a leaf, or gives the leaf the sum of itself and that."""
    states, label = flow.index.trace.states, call.function.label
    if label in _GIVING and len(call.inputs) > 1:
        maker = flow.index.history.maker(states[call.inputs[1].before].tensor, call.step)
        if maker is None or maker.function.label not in _SUMS or states[maker.inputs[0].before].storage not in flow.own:
            return False
        return flow.into(maker.inputs[1:], maker.step) is True
    return label in _ADDING and flow.into(call.inputs, call.step) is True


@dataclass(frozen=True, slots=True)
class _Flow:
    """What has come of a gradient since the backward before, leaving out what the leaf itself gives."""

    index: Index
    own: frozenset[StorageId | None]
    gradient: StorageId
    begin: int

    def into(self, inputs: Iterable[Argument], step: int, depth: int = _DEEPEST) -> bool | None:
        """Whether a gradient has flowed into what a call was given; None where that may be meant to be a sum."""
        states, found = self.index.trace.states, False
        for state in (states[one.before] for one in inputs):
            if state.storage == self.gradient:
                found = True
            elif depth and state.storage not in self.own:
                flowed = self._of(self.index.history.maker(state.tensor, step), depth - 1)
                if flowed is None:
                    return None
                found = found or flowed
        return found

    def _of(self, maker: Call | None, depth: int) -> bool | None:
        if maker is None or maker.step < self.begin:
            is_copy = maker is not None and maker.function.label in _COPIES and self.into(maker.inputs, 0, 0)
            return None if is_copy else False
        flowed = self.into(maker.inputs, maker.step, depth)
        return None if flowed and len(maker.inputs) > 1 and maker.function.label in _DIFFERENCES else flowed
