"""What is said of `result-does-not-fit`: an in-place result has no place in its target."""

from __future__ import annotations

from inplace.checks.result_does_not_fit import ResultDoesNotFit
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, name
from inplace.render.words.phrase import code
from inplace.render.words.telling import Words


def _sentences(finding: ResultDoesNotFit, trace: Trace) -> tuple[str, str]:
    what = f"{culprits(finding, trace)} would write to {name(finding)} what does not fit into it"
    if finding.how == "shape":
        told = f"{what}: what is written to has the shape {finding.target}, and the other has {finding.other}."
        return told, "PyTorch refuses: an in-place call can't change the shape of its target, only expand the other."
    told = f"{what}: it is {code(finding.target)}, and the result is {code(finding.other)}."
    return told, "PyTorch refuses: an in-place call can't change the dtype of its target."


def _remedy(finding: ResultDoesNotFit, _: Trace) -> str:
    if finding.how == "shape":
        return "Bring both to one shape first, or write out of place, which gives a new tensor of the larger shape."
    if not finding.names:
        return "Write out of place, which gives a new tensor, or cast what is written."
    cast = code(f".to({finding.names[0]}.dtype)")
    return f"Write out of place, which gives a new tensor, or cast what is written: {cast}."


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=lambda _: "refused",
    example="E05",
)
