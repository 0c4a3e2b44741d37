"""What is said of `leaf-inplace`: PyTorch refused a write to a leaf."""

from __future__ import annotations

from inplace.checks.leaf_inplace import LeafWrite
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, leaf_update, name
from inplace.render.words.telling import Words

_OWN = "the leaf's own value is what its gradient is about."
_SAID = {
    "write": ("writes to {0}, a leaf that requires grad", f"PyTorch refuses at once and changes nothing: {_OWN}"),
    "dirty": ("lets a custom function write to {0}, a leaf that requires grad", f"PyTorch refuses: {_OWN}"),
    "size": ("gives {0}, which requires grad, another size", "PyTorch refuses: its gradient would have the old one."),
    "gradient": (
        "assigns {0} a gradient that does not fit it",
        "A gradient has the shape, dtype and device of its tensor.",
    ),
    "data": (
        "gives {0}, a leaf that requires grad, data that it can't have",
        "It has to stay a floating point or complex tensor of the same layout: its gradient is one too.",
    ),
}
_REMEDIES = {
    "size": "Make a new tensor of the new size, copy the values, and call `requires_grad_()` on it.",
    "gradient": "Bring it to the shape and dtype of the tensor first: `.reshape({0}.shape).to({0}.dtype)`.",
    "data": "Keep the dtype: round the values and leave them floats, or make a new tensor that requires no grad; "
    "of a sparse tensor take `.to_dense()`.",
}


def _sentences(finding: LeafWrite, trace: Trace) -> tuple[str, str]:
    what, because = _SAID[finding.how]
    return f"{culprits(finding, trace)} {what.format(name(finding))}.", because


def _remedy(finding: LeafWrite, trace: Trace) -> str:
    own = finding.names[0] if finding.names else "w"
    remedy = _REMEDIES.get(finding.how)
    return leaf_update(finding, trace) if remedy is None else remedy.format(own)


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=lambda _: "refused",
    example="E11",
)
