"""What is said of `saved-tensor-modified`: a saved tensor was overwritten, and backward refused it."""

from __future__ import annotations

import re

from inplace.checks.saved_tensor_modified import StaleSave
from inplace.facts.model import Trace
from inplace.render.words.keeps import keeps
from inplace.render.words.parts import culprits, instead, name, victim
from inplace.render.words.phrase import code
from inplace.render.words.telling import Words

_ACTIVATION = re.compile(
    r"(?:relu6?|elu|celu|selu|leaky_relu|rrelu|gelu|silu|mish|sigmoid|tanh|hardtanh|softplus|dropout)_\(|inplace=True"
)
_OTHER = {
    "detached": (
        "detaches {0} in place, which was saved for backward",
        "`backward()` raises: the save has lost the graph that it belongs to.",
        "Write `detach()` without the underscore, which gives a new tensor, or do it after `backward()`.",
    ),
    "slope": (
        "overwrites its own input, which the derivative needs for a negative slope",
        "`backward()` raises: from the result alone it can't be told which side of zero the input was on.",
        "Use `inplace=False`, or a slope that is positive.",
    ),
}


def _sentences(finding: StaleSave, trace: Trace) -> tuple[str, str]:
    if finding.how in _OTHER:
        said, because, _ = _OTHER[finding.how]
        return f"{culprits(finding, trace)} {said.format(name(finding))}.", because
    what = f"{culprits(finding, trace)} changed {name(finding)} after {victim(finding, trace)} saved it for backward"
    if finding.within is not None:
        what = f"{culprits(finding, trace)} changed {_within(*finding.within)} for backward"
    versions = f"version is {finding.version_now}, version {finding.version_saved} was saved"
    because = f"`backward()` {'through it would raise' if finding.pending else 'raises'}: {versions}."
    if finding.disjoint:
        because += " No byte of what was saved was written, but one version counter serves the whole storage."
    if finding.node is None:
        return f"{what} (a checkpoint keeps its inputs, to run again from them).", because
    node = finding.victim.node if finding.victim is not None else trace.node_by_id[finding.node].name
    return f"{what} ({keeps(node, finding.saved)}).", because


def _within(wrote: str, saved: str) -> str:
    """What was changed within one call, and in which modules of it: no variable of the user's is that tensor."""
    if not wrote or not saved:
        return "within itself a tensor that it had saved"
    return f"in {code(wrote)} what {code(saved) if saved != wrote else 'it'} had saved"


def _remedy(finding: StaleSave, trace: Trace) -> str:
    return instead(finding, trace) if finding.how not in _OTHER else _OTHER[finding.how][2]


def _did(finding: StaleSave) -> str:
    if finding.how == "detached":
        return "detaches it"
    return "moves its version" if finding.disjoint else "overwrites it"


def _cause(finding: StaleSave) -> str:
    """An activation in a forward pass has an example of its own."""
    return "E25" if finding.culprits and _ACTIVATION.search(finding.culprits[0].code) else ""


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=_did,
    example="E13",
    cause=_cause,
    needs=lambda finding: "still needed" if finding.how not in _OTHER else "raised here",
)
