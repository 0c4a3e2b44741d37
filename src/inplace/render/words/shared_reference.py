"""What is said of `shared-reference`: names or items reach the same bytes."""

from __future__ import annotations

from inplace.checks.shared_reference import SharedReference
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, joined, quote, where
from inplace.render.words.telling import Words

_REMEDIES = {
    "repeated": "Make each item its own tensor: `[torch.zeros(2) for _ in range(3)]`, or store `t.detach().clone()`.",
    "swap": "Swap with one indexed assignment, `x[[0, 1]] = x[[1, 0]]`, or clone the right side.",
    "snapshot": "If each is to be its own, keep a copy: `.clone()` of a tensor, `copy.deepcopy` of a `state_dict`.",
    "groups": "Put each parameter into one group only: leave out those that an earlier group has.",
}


def _sentences(finding: SharedReference, trace: Trace) -> tuple[str, str]:
    names = joined(finding.reaching or finding.names[:2])
    writer = f"{where(finding.culprits[0], trace)}: {quote(finding.culprits[0])}" if finding.culprits else "a call"
    if finding.how == "groups":
        shared = f" ({joined(finding.reaching)})" if finding.reaching else ""
        what = f"{culprits(finding, trace)} gives an optimizer the same parameter in two groups{shared}."
        return what, "The optimizer refuses: each of its steps would move it twice."
    if finding.how == "swap":
        what = f"{culprits(finding, trace)} copies from a view that the same statement has overwritten already."
        return what, "`x[0]` and `x[1]` are views, not copies, so both ends of the swap read the same bytes."
    if finding.how == "repeated":
        what = f"{culprits(finding, trace)}: several items of one list are the same bytes ({names})."
        return what, "A write through one of them shows in all of them."
    return f"{names} reach the same bytes, which {writer} wrote.", "A write through one name shows under every other."


def _remedy(finding: SharedReference, _: Trace) -> str:
    return _REMEDIES[finding.how]


def _did(finding: SharedReference) -> str:
    if finding.how == "groups":
        return "refused"
    return "reads what it overwrote" if finding.how == "swap" else "the same bytes"  # of all places; one wrote


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=_did,
    example="E15",
)
