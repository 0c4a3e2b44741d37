"""What is said of `result-does-not-fit`: an in-place result has no place in its target."""

from __future__ import annotations

from inplace.checks.result_does_not_fit import ResultDoesNotFit
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, name
from inplace.render.words.phrase import code
from inplace.render.words.telling import Words


def _sentences(finding: ResultDoesNotFit, trace: Trace) -> tuple[str, str]:
    if finding.how == "gradient":
        what = f"{culprits(finding, trace)} is given {code(finding.other)} and {code(finding.target)} together"
        return f"{what}.", f"`backward()` raises: the gradient is {code(finding.other)}, and its tensor is not."
    what = f"{culprits(finding, trace)} would write to {name(finding)} what does not fit into it"
    if finding.how == "shape":
        shapes = f": what is written to has {_size(finding.target)}, and the other has {_size(finding.other)}"
        because = "PyTorch refuses: an in-place call can't change the shape of its target, only expand the other."
        return f"{what}{shapes if finding.target else ''}.", because
    dtypes = f": it is {code(finding.target)}, and the result is {code(finding.other)}"
    because = "PyTorch refuses: an in-place call can't change the dtype of its target."
    return f"{what}{dtypes if finding.target else ''}.", because


def _size(told: str) -> str:
    """A shape, or the size of one dimension."""
    return f"the shape {told}" if told.startswith("[") else f"{told} elements in that dimension"


def _remedy(finding: ResultDoesNotFit, _: Trace) -> str:
    if finding.how == "gradient":
        return f"Bring both to one dtype first: `.to(torch.{finding.target})`, or `.float()` for the input data."
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
