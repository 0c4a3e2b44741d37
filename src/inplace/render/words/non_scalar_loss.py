"""What is said of `non-scalar-loss`: backward was begun at several elements."""

from __future__ import annotations

from inplace.checks.non_scalar_loss import NonScalarLoss
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, name
from inplace.render.words.phrase import code
from inplace.render.words.telling import Words


def _sentences(finding: NonScalarLoss, trace: Trace) -> tuple[str, str]:
    shape = f"[{', '.join(map(str, finding.shape))}]"
    if finding.how == "complex":
        what = f"{culprits(finding, trace)} begins at {name(finding)}, which is complex."
        return what, "`backward()` raises: by itself it begins at one real number only, whose gradient is 1."
    if finding.how == "other shape":
        what = f"{culprits(finding, trace)} gives a gradient of shape {finding.given} for {name(finding)}: {shape}."
        return what, "`backward()` raises: the gradient to begin with has the shape of what it is the gradient of."
    what = f"{culprits(finding, trace)} begins at {name(finding)}, which is not one number: its shape is {shape}."
    return what, "`backward()` raises: by itself it begins at one number only, whose gradient is 1."


def _remedy(finding: NonScalarLoss, _: Trace) -> str:
    if finding.how == "complex":
        real, size = name(finding, ".real"), name(finding, ".abs()")
        return f"Begin at a real number: {real}, or {size} where its size is meant, or pass a gradient."
    if finding.how == "other shape":
        like = code(f"torch.ones_like({finding.names[0] if finding.names else 'out'})")
        return f"Give it the shape of the result, as {like} has, or reduce the result to one number first."
    mean, total = name(finding, ".mean()"), name(finding, ".sum()")
    return f"Reduce it first, with {mean} or {total}, or pass a gradient of that shape."


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=lambda _: "refused",
    example="E52",
)
