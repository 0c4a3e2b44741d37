"""What is said of `saved-tensor-modified`: a saved tensor was overwritten, and backward refused it."""

from __future__ import annotations

from inplace.checks.saved_tensor_modified import StaleSave
from inplace.facts.model import Trace
from inplace.render.words.keeps import keeps
from inplace.render.words.parts import culprits, instead, name, victim
from inplace.render.words.telling import Words


def _sentences(finding: StaleSave, trace: Trace) -> tuple[str, str]:
    what = f"{culprits(finding, trace)} changed {name(finding)} after {victim(finding, trace)} saved it for backward"
    versions = f"version is {finding.version_now}, version {finding.version_saved} was saved"
    because = f"`backward()` {'through it would raise' if finding.pending else 'raises'}: {versions}."
    if finding.disjoint:
        because += " No byte of what was saved was written, but one version counter serves the whole storage."
    if finding.node is None:
        return f"{what} (a checkpoint keeps its inputs, to run again from them).", because
    node = finding.victim.node if finding.victim is not None else trace.node_by_id[finding.node].name
    return f"{what} ({keeps(node, finding.saved)}).", because


def _did(finding: StaleSave) -> str:
    return "moves its version" if finding.disjoint else "overwrites it"


WORDS = Words(
    sentences=_sentences,
    remedy=instead,
    did=_did,
    example="E25",
    needs=lambda _: "still needed",
)
