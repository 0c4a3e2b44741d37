"""What is said of `custom-function`: a custom function or hook, and what it was lent or kept."""

from __future__ import annotations

from inplace.checks.custom_function import CustomFunction
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, instead, name, victim
from inplace.render.words.telling import Words

_DID = {"gradient": "edits a lent gradient", "input": "not marked dirty"}


def _sentences(finding: CustomFunction, trace: Trace) -> tuple[str, str]:
    if finding.how == "gradient":
        what = f"{culprits(finding, trace)} edits in place a gradient that was only lent to it."
        return what, "Another branch was given the same tensor and reads it afterwards, so its gradient is wrong."
    if finding.how == "input":
        what = f"{culprits(finding, trace)} writes to an input of a custom function that does not mark it dirty."
        return what, "Autograd is not told of the write, so gradients through that input are silently wrong."
    kept = f"after the custom function at {victim(finding, trace)} kept it"
    what = f"{culprits(finding, trace)} changed {name(finding)} {kept}."
    if finding.how == "context":
        return what, "It was kept on `ctx`, where autograd checks no version, so the gradient is silently wrong."
    return what, "`backward()` raises: the version of a tensor given to `save_for_backward` has moved on."


def _remedy(finding: CustomFunction, trace: Trace) -> str:
    if finding.how == "input":
        return "Call `ctx.mark_dirty(...)` on the input, or write to a clone of it."
    if finding.how == "gradient":
        return "Work on a copy: `grad.clone()`, or return the result of the out-of-place form."
    return instead(finding, trace)


def _did(finding: CustomFunction) -> str:
    return _DID.get(finding.how, "overwrites it")


def _needs(finding: CustomFunction) -> str:
    return "given to it" if finding.how == "input" else "still needed"


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=_did,
    example="E13",
    needs=_needs,
)
