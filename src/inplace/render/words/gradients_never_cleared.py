"""What is said of `gradients-never-cleared`: each step uses the sum of all gradients so far."""

from __future__ import annotations

from inplace.checks.gradients_never_cleared import UnclearedGradients
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, victim
from inplace.render.words.telling import Words


def _sentences(finding: UnclearedGradients, trace: Trace) -> tuple[str, str]:
    if finding.in_closure:
        what = f"{culprits(finding, trace)} adds to gradients that the closure's calls before have left."
        times = f"One step ({victim(finding, trace)}) called the closure {finding.steps_made} times"
        return what, f"{times}, and nothing cleared the gradients in between: it was given their sum."
    what = f"{culprits(finding, trace)} adds to gradients that the steps before have used: nothing has cleared them."
    made = "updates" if finding.by_hand else "steps"
    steps = f"Each of {finding.steps_made} {made} ({victim(finding, trace)})"
    return what, f"{steps} uses what all backwards up to it have added."


def _remedy(finding: UnclearedGradients, _: Trace) -> str:
    if finding.by_hand:
        return "Clear them once behind each update (`.grad = None`, or `zero_grad()` of what has them)."
    if finding.in_closure:
        return "Clear them in the closure, with `zero_grad()` before its first backward."
    return "Clear them once for each step, with `zero_grad()` before the first backward or behind the step."


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=lambda _: "adds to them",
    needs=lambda _: "uses the sum",
    example="E66",
)
