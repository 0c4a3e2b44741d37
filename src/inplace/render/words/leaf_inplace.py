"""What is said of `leaf-inplace`: PyTorch refused a write to a leaf."""

from __future__ import annotations

from inplace.checks.leaf_inplace import LeafWrite
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, leaf_update, name
from inplace.render.words.telling import Words


def _sentences(finding: LeafWrite, trace: Trace) -> tuple[str, str]:
    what = f"{culprits(finding, trace)} writes to {name(finding)}, a leaf that requires grad."
    return what, "PyTorch refuses at once and changes nothing: the leaf's own value is what its gradient is about."


WORDS = Words(
    sentences=_sentences,
    remedy=leaf_update,
    did=lambda _: "refused",
    example="E11",
)
