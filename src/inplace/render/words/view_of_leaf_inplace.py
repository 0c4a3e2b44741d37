"""What is said of `view-of-leaf-inplace`: PyTorch refused a write to a view of a leaf."""

from __future__ import annotations

from inplace.checks.view_of_leaf_inplace import LeafViewWrite
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, leaf_update, name
from inplace.render.words.telling import Words


def _sentences(finding: LeafViewWrite, trace: Trace) -> tuple[str, str]:
    what = f"{culprits(finding, trace)} writes to a view of {name(finding)}, a leaf that requires grad."
    return what, "PyTorch refuses at once and changes nothing: a write to the view would be a write to the leaf."


WORDS = Words(
    sentences=_sentences,
    remedy=leaf_update,
    did=lambda _: "refused",
    example="E57",
)
