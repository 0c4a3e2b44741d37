"""Updates by hand that gave a leaf's name to a result: `w = w - lr * w.grad` under `no_grad`.

The result is no leaf that requires grad, so the next loss has no path. To record the update would not help: its result
would be none that has a `.grad`.
"""

from __future__ import annotations

from inplace.facts.model import Call, TensorId
from inplace.reading.trace.gradient_events import reads_grad
from inplace.reading.trace.index import Index
from inplace.reading.trace.lineage import CutCall, how_cut

_DEEPEST = 6  # calls between a gradient and the update


def own_step(index: Index, cut: CutCall) -> tuple[TensorId, ...]:
    """The leaf that a cut under `no_grad` made an update of with its own gradient, and that update; else nothing."""
    states, leaf = index.trace.states, cut.given
    if how_cut(cut) != "no-grad" or not leaf.is_leaf or len(cut.call.outputs) != 1:
        return ()
    reads = [call for call in index.history.calls_of(reads_grad, cut.call.step) if call.inputs]
    own = [call for call in reads if states[call.inputs[0].before].tensor == leaf.tensor]
    gradients = {states[output].tensor for call in own for output in call.outputs}
    made = states[cut.call.outputs[0]]
    is_alike = made.layout.shape == leaf.layout.shape
    return (leaf.tensor, made.tensor) if is_alike and _comes_of(index, cut.call, gradients, _DEEPEST) else ()


def _comes_of(index: Index, call: Call, tensors: set[TensorId], depth: int) -> bool:
    """Whether one of some tensors has flowed into a call."""
    given = [index.trace.states[one.before].tensor for one in call.inputs]
    if not tensors.isdisjoint(given):
        return True
    makers = (index.history.maker(one, call.step) for one in given)
    return depth > 0 and any(maker is not None and _comes_of(index, maker, tensors, depth - 1) for maker in makers)
