"""What an item or a batch was changed by, besides numbers: a state is moved by what is computed anew, data by noise."""

from __future__ import annotations

from inplace.facts.model import TensorId
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index

_DEPTH = 4  # calls with numbers between a write and what has drawn the noise
_DRAWING = frozenset(
    [
        *("rand", "randn", "rand_like", "randn_like", "randint", "randint_like", "normal", "bernoulli", "poisson"),
        *("normal_", "uniform_", "bernoulli_", "exponential_", "random_"),
    ]
)
_SCALING = frozenset(
    {"mul", "mul_", "div", "div_", "add", "add_", "sub", "sub_", "rsub", "neg", "clamp", "clamp_", "to"}
)


def moved_by(index: Index, write: Write) -> list[TensorId]:
    """The tensors that a write took besides what it changed, without noise, which is no value of anything."""
    others = [index.trace.states[one.before].tensor for one in write.call.inputs if one.path != write.argument.path]
    return [one for one in others if not _is_noise(index, one, write.call.step)]


def _is_noise(index: Index, tensor: TensorId, step: int) -> bool:
    """Whether a tensor was drawn, and at most scaled and moved by numbers since."""
    for _ in range(_DEPTH):
        maker = index.history.maker(tensor, step)
        if maker is None or maker.function.label in _DRAWING:
            return maker is not None
        if maker.function.label not in _SCALING or len(maker.inputs) != 1:
            return False
        tensor, step = index.trace.states[maker.inputs[0].before].tensor, maker.step
    return False
