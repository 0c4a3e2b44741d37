"""Which leaves miss a gradient that somebody expected, and the backwards that were to give it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from inplace.facts.model import Call, Kind, TensorId
from inplace.reading.gradients.reached import reached_leaves, read_leaves, wanted_leaves
from inplace.reading.trace.index import Index
from inplace.reading.trace.lineage import is_moved_by_hand

_TURNS = 2  # steps of code that goes on


def missed_leaves(index: Index) -> Iterator[tuple[TensorId, list[Call]]]:
    """Yield the wanted leaves that no backward reached, each with the backwards that may have been meant for it.

    None of them had a gradient at a step. Those backwards are the ones before the first step that wants it, the last
    one first; where no step does, all of them in order. What is moved by hand after it was used has no need of a
    gradient: a codebook that follows averages. Nor has what only optimizers hold that never made a step, where others
    did: a copy is trained, or one part of several. While the code goes on, a step may still come, and what moves a leaf
    by hand behind it: then two steps must have wanted it.
    """
    backwards = [
        call for call in index.history.calls_of(lambda function: function.kind is Kind.BACKWARD) if call.inputs
    ]
    firsts = {call.stack: call for call in reversed(backwards)}  # of each line the first
    lines = sorted(firsts.values(), key=lambda call: call.step)
    missing = wanted_leaves(index) - index.gradients.had
    if not missing or not backwards:
        return
    stepped: dict[TensorId, int] = {}
    times = Counter[TensorId]()
    for event in index.gradients.of("step"):
        for leaf in event.leaves or ():
            stepped.setdefault(leaf, event.moment[0] + 1)
            times[leaf] += 1
    # What `autograd.grad` gives out is no gradient of the leaf's own: a step that looked for one has found none.
    reached, accumulated = reached_leaves(index), reached_leaves(index, accumulated=True)
    missing = {leaf for leaf in missing if leaf not in (accumulated if times[leaf] else reached)}
    missing = {leaf for leaf in missing if not is_moved_by_hand(index, leaf)}
    if index.trace.goes_on:
        missing = {leaf for leaf in missing if times[leaf] >= _TURNS}
    elif times:
        missing &= times.keys() | read_leaves(index)
    for leaf in sorted(missing):
        before = [call for call in lines if call.step < stepped.get(leaf, len(index.trace.calls))]
        yield leaf, before[::-1] if leaf in stepped else before
