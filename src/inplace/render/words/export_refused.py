"""What is said of `export-refused`: a tensor that autograd records was to leave PyTorch."""

from __future__ import annotations

from inplace.checks.export_refused import ExportRefused
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, name, victim
from inplace.render.words.telling import Words

_HOW = {"numpy": "handed to numpy", "dlpack": "handed to another library", "process": "sent to another process"}
_WHY = {
    "numpy": "PyTorch refuses: autograd would not see what is done with the array.",
    "dlpack": "PyTorch refuses: autograd would not see what is done with the bytes.",
    "process": "PyTorch refuses: the graph can't be sent with it, and without it the gradient would get lost.",
}


def _sentences(finding: ExportRefused, trace: Trace) -> tuple[str, str]:
    if finding.victim is None:
        return f"{culprits(finding, trace)}: {name(finding)}, which requires grad, is {_HOW[finding.how]}.", _WHY[
            finding.how
        ]
    made = f"{culprits(finding, trace)} gives {name(finding)} a gradient path"
    return f"{made}, and at {victim(finding, trace)} it is {_HOW[finding.how]}.", _WHY[finding.how]


def _remedy(finding: ExportRefused, _: Trace) -> str:
    own = name(finding, ".detach()")
    return f"For what needs no gradient use {own}; what the loss needs is computed with PyTorch's own functions."


def _did(finding: ExportRefused) -> str:
    return "refused" if finding.victim is None else "has a gradient path"


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=_did,
    needs=lambda _: "refused",
    example="E62",
)
