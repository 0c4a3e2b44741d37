"""What is said of `non-scalar-loss`: backward was begun at several elements."""

from __future__ import annotations

from inplace.checks.non_scalar_loss import NonScalarLoss
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, name
from inplace.render.words.telling import Words


def _sentences(finding: NonScalarLoss, trace: Trace) -> tuple[str, str]:
    shape = f"[{', '.join(map(str, finding.shape))}]"
    what = f"{culprits(finding, trace)} begins at {name(finding)}, which is not one number: its shape is {shape}."
    return what, "`backward()` raises: by itself it begins at one number only, whose gradient is 1."


def _remedy(finding: NonScalarLoss, _: Trace) -> str:
    mean, total = name(finding, ".mean()"), name(finding, ".sum()")
    return f"Reduce it first, with {mean} or {total}, or pass a gradient of that shape."


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=lambda _: "refused",
)
