"""What is said of `overlapping-write`: a write overlaps itself, or what it reads."""

from __future__ import annotations

from inplace.checks.overlapping_write import OverlappingWrite
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, name
from inplace.render.words.telling import Words

_REMEDIES = {
    "expanded": "Give every element its own bytes first: `.clone()` (or `repeat` instead of `expand`).",
    "partial": "Clone what is read: `x[1:] += x[:-1].clone()` (for running sums, `torch.cumsum`).",
    "indices": "Use `x.index_put_((i,), values, accumulate=True)`, or `index_add_`.",
}
_DID = {"expanded": "writes one byte twice", "indices": "repeats an index", "partial": "reads what it writes"}


def _sentences(finding: OverlappingWrite, trace: Trace) -> tuple[str, str]:
    own = name(finding)
    if finding.how == "expanded":
        shared = "several of whose elements are the same bytes (`expand`, `unfold`)"
        what = f"{culprits(finding, trace)} writes to {own}, {shared}."
        wrong = "One write shows in several places, and of several writes to one place only the last stays."
    elif finding.how == "indices":
        what = f"{culprits(finding, trace)} updates {own} at indices of which some are repeated."
        wrong = "Every repeated index reads the old value, so only one of its updates stays."
    else:
        what = f"{culprits(finding, trace)} reads and writes overlapping parts of {own} in one call."
        wrong = "What is read depends on which elements were written first, so the result is not defined."
    return what, ("PyTorch refuses: " + wrong[0].lower() + wrong[1:]) if finding.raised else wrong


def _remedy(finding: OverlappingWrite, _: Trace) -> str:
    return _REMEDIES[finding.how]


def _did(finding: OverlappingWrite) -> str:
    return "refused" if finding.raised else _DID[finding.how]


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=_did,
    example="E59",
)
