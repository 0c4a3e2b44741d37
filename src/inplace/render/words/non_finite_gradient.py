"""What is said of `non-finite-gradient`: a gradient is infinite or not a number."""

from __future__ import annotations

from inplace.checks.non_finite_gradient import NonFiniteGradient
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, victim
from inplace.render.words.telling import Words


def _sentences(finding: NonFiniteGradient, trace: Trace) -> tuple[str, str]:
    told = culprits(finding, trace)
    if finding.victim is None:
        return f"{told} computes a gradient that is infinite or not a number.", "Each step makes the weights so too."
    if finding.derivative:
        what = f"{told} has an infinite derivative at the values it was given"
        because = "Even a gradient of zero becomes zero times infinity there, which is not a number, mask or no mask."
        return f"{what}, and {victim(finding, trace)} goes backward through it.", because
    what = f"{told} gives out values that are infinite or not numbers, and {victim(finding, trace)} goes backward"
    return f"{what} from them.", "So the gradients are not finite either, and a step makes the weights so too."


def _remedy(finding: NonFiniteGradient, _: Trace) -> str:
    if finding.derivative:
        return (
            "Keep the argument away from there, `x.clamp_min(1e-8)`, or choose safe values by `where` before the call."
        )
    return "Look at the values that go in: `torch.isfinite(x).all()`."


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=lambda _: "not finite",
    needs=lambda _: "goes backward through it",
    example="E56",
)
