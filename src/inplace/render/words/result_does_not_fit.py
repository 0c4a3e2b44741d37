"""What is said of `result-does-not-fit`: an in-place result has no place in its target."""

from __future__ import annotations

from inplace.checks.result_does_not_fit import ResultDoesNotFit
from inplace.facts.model import Trace
from inplace.reading.forms import out_of_place_form
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
    form = out_of_place_form(finding.culprits[0].code) if finding.culprits else None
    written = f"Write out of place, {code(form)}" if form is not None else "Write out of place"
    return (
        f"{written}, or cast what is written: {code(f'.to({finding.names[0]}.dtype)')}." if finding.names else written
    )


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=lambda _: "refused",
    example="E05",
)
