"""What is said of `gradient-lost-before-step`: the step does not use the gradient that was computed."""

from __future__ import annotations

from inplace.checks.gradient_lost_before_step import LostGradient
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits
from inplace.render.words.telling import Words

_WHAT = {
    "cleared": "drops the gradients between `backward()` and the step that should use them",
    "per backward": "drops what earlier turns of the same `backward()` computed, before any step has used it",
    "between": "drops what another `backward()` computed for the same parameters, before any step has used it",
    "clipped early": "clips gradients that `backward()` has not computed yet",
    "clipped scaled": "clips gradients that are still multiplied by the scaler's scale",
}
_WHY = {
    "cleared": "The step finds no gradient, and changes nothing.",
    "per backward": "Only the last of several backwards counts in each step.",
    "between": "That backward counts in no step: only what was computed behind the clear does.",
    "clipped early": "The step uses the gradients as they are, however large.",
    "clipped scaled": "Nearly every gradient is larger than the bound then, so the step hardly moves anything.",
}
_REMEDIES = {
    "cleared": "Clear after the step, or before `backward()`.",
    "per backward": "Clear once for each step: after it, or before the first backward of the next.",
    "between": "Clear once for each step, before its first backward; or go backward once, from the sum of the losses.",
    "clipped early": "Clip between `backward()` and the step.",
    "clipped scaled": "Call `scaler.unscale_(optimizer)` before you clip.",
}


def _sentences(finding: LostGradient, trace: Trace) -> tuple[str, str]:
    return f"{culprits(finding, trace)} {_WHAT[finding.how]}.", _WHY[finding.how]


def _remedy(finding: LostGradient, _: Trace) -> str:
    return _REMEDIES[finding.how]


def _did(finding: LostGradient) -> str:
    return "clips" if finding.how.startswith("clipped") else "drops gradients"


WORDS = Words(sentences=_sentences, remedy=_remedy, did=_did, example="E55")
