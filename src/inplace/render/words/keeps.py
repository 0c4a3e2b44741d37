"""What autograd nodes keep for backward, in words: `SigmoidBackward0` and `result` are "sigmoid keeps its result"."""

from __future__ import annotations

import re

from inplace.render.words.phrase import code

_NAMES = {
    "Addmm": "linear",
    "Mm": "matmul",
    "Bmm": "batched matmul",
    "Mv": "matmul",
    "NativeBatchNorm": "batch norm",
    "NativeLayerNorm": "layer norm",
    "Convolution": "convolution",
    "Mul": "mul",
    "Div": "div",
    "Pow": "pow",
    "NllLoss": "the loss",
    "LogSoftmax": "log_softmax",
    "MaxPool2DWithIndices": "max_pool2d",
    "CopySlices": "the in-place call on the view",
    "Accumulate": "accumulate",
}
# What a saved name stands for where it isn't simply the argument of that name.
_PARTS = {
    ("Addmm", "mat1"): "its input",
    ("Addmm", "mat2"): "its weight",
    ("Mm", "self"): "its left factor",
    ("Mm", "mat2"): "its right factor",
    ("Mv", "self"): "its matrix",
    ("Mv", "vec"): "its vector",
    ("Mul", "self"): "its factors",
    ("Mul", "other"): "its factors",
    ("Div", "other"): "its divisor",
    ("Div", "self"): "its dividend",
    ("Pow", "self"): "its base",
    ("Pow", "exponent"): "its exponent",
    ("Convolution", "input"): "its input",
    ("Convolution", "weight"): "its weight",
    ("Index", "indices"): "its indices",
}
_GENERAL = {
    "result": "its result",
    "result0": "its result",
    "result1": "its statistics",
    "result2": "its statistics",
    "self": "its input",
    "input": "its input",
    "other": "its other input",
    "weight": "its weight",
    "mask": "its mask",
    "indices": "its indices",
    "grad_output": "the gradient it was given",
}


def node_name(node: str) -> str:
    """The operation that a node is the backward of, as people say it: `sigmoid` for `SigmoidBackward0`."""
    stem = re.sub(r"Backward\d*$", "", node)
    if stem in _NAMES:
        return _NAMES[stem]
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", stem).lower() or "the operation"


def part(node: str, saved: str) -> str:
    """What a saved tensor is to its operation: `its result`."""
    stem = re.sub(r"Backward\d*$", "", node)
    name = re.sub(r"\[\d+\]$", "", saved)
    return _PARTS.get((stem, name)) or _GENERAL.get(name) or f"its {code(name) if '_' in name else name}"


def keeps(node: str, saved: str) -> str:
    """A clause that says what an operation keeps: `sigmoid keeps its result`."""
    if saved.startswith("tensors"):
        return f"{code(re.sub(r'Backward$', '', node))} keeps it with `save_for_backward`"
    return f"{node_name(node)} keeps {part(node, saved)}"


def keeps_only(node: str, saved: tuple[str, ...]) -> str:
    """A clause that says what an operation keeps instead of its result: `linear keeps its input and weight`."""
    parts = list(dict.fromkeys(part(node, name) for name in saved))
    if not parts:
        return f"{node_name(node)} keeps nothing for backward"
    rest = [one.removeprefix("its ") for one in parts[1:]]
    listed = parts[0] if not rest else f"{', '.join([parts[0], *rest[:-1]])} and {rest[-1]}"
    return f"{node_name(node)} keeps {listed}, not its result"
