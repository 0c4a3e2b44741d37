"""What is said of `safe-in-place`: an in-place call that harms nothing."""

from __future__ import annotations

from inplace.checks.safe_in_place import SafeWrite
from inplace.facts.model import Trace
from inplace.render.words.keeps import keeps_only
from inplace.render.words.parts import culprits
from inplace.render.words.phrase import code
from inplace.render.words.telling import Words


def _sentences(finding: SafeWrite, trace: Trace) -> tuple[str, str]:
    does = "is"
    if finding.within is not None and all(finding.within):
        wrote, made = finding.within
        does = f"writes in {code(wrote)} to what {code(made) if made != wrote else 'it'} made, which is"
    what = f"{culprits(finding, trace)} {does} safe: {keeps_only(finding.node, finding.saved)}."
    return what, "`backward()` ran through it."


def _remedy(_finding: SafeWrite, _trace: Trace) -> str:
    return "Nothing to fix."


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=lambda _: "safe",
    example="E14",
    needs=lambda _: "not needed any more",
)
