"""Whether an activation that works in place has changed a value of what it was given."""

from __future__ import annotations

from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index

# What is written in place to spare memory, and not for its effect on who gave the argument.
SPARING = frozenset(
    [
        *("relu", "relu6", "elu", "selu", "celu", "leaky_relu", "hardtanh", "hardswish", "hardsigmoid", "silu", "mish"),
        *("threshold", "dropout", "alpha_dropout", "feature_dropout", "dropout2d", "rrelu", "relu_", "dropout_"),
        *("alpha_dropout_", "feature_dropout_", "leaky_relu_", "elu_", "selu_", "celu_", "threshold_", "rrelu_"),
    ]
)
_DEPTH = 4  # calls between an activation and what has made its input such that it changes nothing
_UNCHANGED = frozenset({"relu", "relu_", "leaky_relu", "leaky_relu_", "elu", "elu_", "celu", "celu_"})
_POSITIVE = frozenset({"relu", "relu_", "relu6", "sigmoid", "softmax", "exp", "abs", "square", "softplus"})
_KEEPS_SIGN = frozenset(
    [
        *("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"),
        *("dropout", "flatten", "view", "reshape", "upsample", "interpolate", "__getitem__", "clone"),
    ]
)


def changes_values(index: Index, write: Write) -> bool:
    """Whether a write changed a value; of others than activations it is not asked.

    A dropout of a module that is evaluated changes nothing, nor does `relu` what `relu` has given out.
    """
    label = write.call.function.label
    if label not in SPARING:
        return True
    if not write.counted:
        return False
    if write.before.values is not None and write.after.values is not None:
        return write.before.values != write.after.values
    tensor, step = write.before.tensor, write.call.step
    for _ in range(_DEPTH if label in _UNCHANGED else 0):
        maker = index.history.maker(tensor, step)
        if maker is None or not maker.inputs:
            return True
        if maker.function.label in _POSITIVE:
            return False
        if maker.function.label not in _KEEPS_SIGN:
            return True
        tensor, step = index.trace.states[maker.inputs[0].before].tensor, maker.step
    return True
